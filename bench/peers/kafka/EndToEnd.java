import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Sends records at a steady rate and measures until the consumer has them, with one clock in one process.
 * Arguments: bootstrap address, topic (one partition), records per second, seconds, acks. Prints p50 and p99 in milliseconds.
 */
public final class EndToEnd {
    public static void main(String[] arguments) throws Exception {
        String bootstrap = arguments[0], topic = arguments[1], acks = arguments[4];
        int rate = Integer.parseInt(arguments[2]);
        int warm = rate * 5, total = warm + rate * Integer.parseInt(arguments[3]);
        long[] latencies = new long[total - warm];
        CountDownLatch reading = new CountDownLatch(1);
        Thread reader = new Thread(() -> read(bootstrap, topic, warm, total, latencies, reading));
        reader.start();
        reading.await();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", bootstrap, "acks", acks, "linger.ms", "0", "enable.idempotence", "false"),
                new ByteArraySerializer(), new ByteArraySerializer())) {
            long began = System.nanoTime();
            for (int sent = 0; sent < total; sent++) {
                long due = began + sent * 1_000_000_000L / rate;
                while (System.nanoTime() < due) {
                    LockSupport.parkNanos(due - System.nanoTime());
                }
                byte[] value = new byte[100];
                java.nio.ByteBuffer.wrap(value).putLong(System.nanoTime());
                producer.send(new ProducerRecord<>(topic, value));
            }
            producer.flush();
            reader.join();
        }
        Arrays.sort(latencies);
        System.out.printf("%.3f %.3f%n", latencies[latencies.length / 2] / 1e6, latencies[latencies.length * 99 / 100] / 1e6);
    }

    private static void read(String bootstrap, String topic, int warm, int total, long[] latencies, CountDownLatch reading) {
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(
                Map.of("bootstrap.servers", bootstrap), new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToEnd(List.of(partition));
            consumer.position(partition);
            reading.countDown();
            for (int received = 0; received < total; ) {
                var records = consumer.poll(Duration.ofSeconds(10));
                long now = System.nanoTime();
                if (records.isEmpty()) {
                    throw new IllegalStateException("no record for 10 s");
                }
                for (var record : records) {
                    if (received >= warm) {
                        latencies[received - warm] = now - java.nio.ByteBuffer.wrap(record.value()).getLong();
                    }
                    received++;
                }
            }
        } catch (RuntimeException failed) {
            failed.printStackTrace();
            System.exit(1);
        }
    }
}
