// The query of the benchmark as a Kafka Streams application, with its defaults and one thread:
// Average BOOTSTRAP TOPIC RESULT RECORDS GUARANTEE. Prints the seconds until RECORDS were read and their results committed, and
// the process' CPU seconds.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.WindowedSerdes;
import org.apache.kafka.streams.state.WindowStore;
import org.apache.kafka.common.utils.Bytes;

public class Average {
    private static final ObjectMapper JSON = new ObjectMapper();

    record Mean(double sum, long count) {}

    public static void main(String[] arguments) throws Exception {
        long records = Long.parseLong(arguments[3]);
        var settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("application.id", "average-" + System.nanoTime());
        settings.put("processing.guarantee", arguments[4]);
        settings.put("auto.offset.reset", "earliest");
        settings.put("state.dir", Files.createTempDirectory("average").toString());

        var read = new AtomicLong();
        var done = new CountDownLatch(1);
        var builder = new StreamsBuilder();
        builder.stream(arguments[1], Consumed.with(Serdes.String(), json()))
            .peek((key, value) -> { if (read.incrementAndGet() == records) done.countDown(); })
            .filter((key, value) -> value.get("TEMPERATURE").doubleValue() > 0)
            .mapValues(value -> value.get("TEMPERATURE").doubleValue())
            .groupByKey(Grouped.with(Serdes.String(), Serdes.Double()))
            .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofSeconds(1), Duration.ofSeconds(1)))
            .aggregate(
                () -> new Mean(0, 0),
                (key, value, mean) -> new Mean(mean.sum + value, mean.count + 1),
                Materialized.<String, Mean, WindowStore<Bytes, byte[]>>as("means").withValueSerde(mean()))
            .toStream()
            .mapValues(mean -> (JsonNode) JSON.createObjectNode().put("MEAN", mean.sum / mean.count))
            .to(arguments[2],
                Produced.with(WindowedSerdes.timeWindowedSerdeFrom(String.class, 1000), json()));
        var streams = new KafkaStreams(builder.build(), settings);
        long began = System.nanoTime();
        streams.start();
        done.await();
        // Closing commits what was read.
        streams.close(Duration.ofSeconds(60));
        double seconds = (System.nanoTime() - began) / 1e9;
        var fields = Files.readString(Path.of("/proc/self/stat")).split("\\) ")[1].split(" ");
        double cpu = (Long.parseLong(fields[11]) + Long.parseLong(fields[12])) / 100.0;
        String resident = Files.readString(Path.of("/proc/self/status")).lines()
            .filter(line -> line.startsWith("VmHWM")).findFirst().orElse("0").replaceAll("[^0-9]", "");
        System.out.printf("%.2f %.2f %d%n", seconds, cpu, Long.parseLong(resident) / 1024);
    }

    private static Serde<JsonNode> json() {
        Serializer<JsonNode> write = (topic, value) -> {
            try {
                return JSON.writeValueAsBytes(value);
            } catch (Exception error) {
                throw new IllegalStateException(error);
            }
        };
        Deserializer<JsonNode> read = (topic, bytes) -> {
            try {
                return JSON.readTree(bytes);
            } catch (Exception error) {
                throw new IllegalStateException(error);
            }
        };
        return Serdes.serdeFrom(write, read);
    }

    private static Serde<Mean> mean() {
        Serializer<Mean> write = (topic, mean) ->
            java.nio.ByteBuffer.allocate(16).putDouble(mean.sum).putLong(mean.count).array();
        Deserializer<Mean> read = (topic, bytes) -> {
            if (bytes == null) return null;
            var buffer = java.nio.ByteBuffer.wrap(bytes);
            return new Mean(buffer.getDouble(), buffer.getLong());
        };
        return Serdes.serdeFrom(write, read);
    }
}
