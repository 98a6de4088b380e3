// Writes press readings as JSON: Readings BOOTSTRAP TOPIC RECORDS. Ten presses in turn, a millisecond apart.

import java.nio.charset.StandardCharsets;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Readings {
    public static void main(String[] arguments) {
        var settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("acks", "all");
        settings.put("batch.size", "131072");
        settings.put("linger.ms", "5");
        var serializer = new ByteArraySerializer();
        long records = Long.parseLong(arguments[2]);
        // The readings end now, so that no broker forgets them as too old.
        long first = System.currentTimeMillis() - records;
        try (var producer = new KafkaProducer<>(settings, serializer, serializer)) {
            for (long n = 0; n < records; n++) {
                var key = "acme/berlin/stamping/line2/press" + n % 10;
                var value = String.format(
                    "{\"TEMPERATURE\":%d.25,\"PRESSURE\":%d.5,\"RUNNING\":true,\"SPEED\":%d,\"COUNTER\":%d,\"STATE\":3}",
                    40 + n % 50, 180 + n % 7, n % 1000, n);
                producer.send(new ProducerRecord<>(arguments[1], null, first + n, bytes(key), bytes(value)));
            }
        }
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
