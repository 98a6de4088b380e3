import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

/**
 * Copies one topic into another exactly once: the copies and the offsets of what was copied are one transaction. Prints how many
 * it has copied, until it is killed.
 *
 * Arguments: bootstrap servers, source topic, target topic, a name for its group and its transactions.
 */
public class Copier {
    public static void main(String[] arguments) {
        String servers = arguments[0], source = arguments[1], target = arguments[2], name = arguments[3];
        KafkaConsumer<byte[], byte[]> reader = new KafkaConsumer<>(Map.of(
            "bootstrap.servers", servers,
            "group.id", name,
            // Its successor takes its place at once.
            "group.instance.id", "copier",
            "auto.offset.reset", "earliest",
            "enable.auto.commit", false,
            "isolation.level", "read_committed",
            "max.poll.records", 20), new ByteArrayDeserializer(), new ByteArrayDeserializer());
        KafkaProducer<byte[], byte[]> writer = new KafkaProducer<>(
            Map.of("bootstrap.servers", servers, "transactional.id", name), new ByteArraySerializer(), new ByteArraySerializer());
        writer.initTransactions();
        reader.subscribe(List.of(source));
        long copied = 0;
        while (true) {
            ConsumerRecords<byte[], byte[]> records = reader.poll(Duration.ofMillis(100));
            if (records.isEmpty()) continue;
            writer.beginTransaction();
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            for (ConsumerRecord<byte[], byte[]> record : records) {
                writer.send(new ProducerRecord<>(target, record.partition(), record.timestamp(), record.key(), record.value()));
                offsets.put(new TopicPartition(source, record.partition()), new OffsetAndMetadata(record.offset() + 1));
            }
            writer.sendOffsetsToTransaction(offsets, reader.groupMetadata());
            writer.commitTransaction();
            copied += records.count();
            System.out.println("copied " + copied);
        }
    }
}
