import java.io.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import java.util.function.*;
import java.util.regex.Pattern;
import org.apache.kafka.common.utils.Exit;

/**
 * Kafka's own command-line tools against a broker, one after the other in one process (a start of Java takes seconds), each with
 * the arguments it would have on a command line. Prints one line of JSON for each case.
 *
 * Arguments: bootstrap servers.
 */
public class Tools {
    static final PrintStream OUT = System.out;
    static String servers;
    static String topic = "tools-" + ProcessHandle.current().pid() + "-" + System.currentTimeMillis();
    static String group = "group-of-" + topic;

    interface Case {
        void run() throws Exception;
    }

    /** Ends a tool in place of the whole process. */
    static class Exited extends RuntimeException {
    }

    /** The code that the tool ended with first: some catch what ends them and end again. */
    static Integer exitCode;

    static void exit(int code) {
        if (exitCode == null) exitCode = code;
        throw new Exited();
    }

    public static void main(String[] arguments) throws Exception {
        servers = arguments[0];
        Exit.setExitProcedure((code, message) -> exit(code));
        Exit.setHaltProcedure((code, message) -> exit(code));
        Map<String, Case> cases = new LinkedHashMap<>();
        cases.put("api_versions", Tools::apiVersions);
        cases.put("topics", Tools::topics);
        cases.put("console_producer_and_consumer", Tools::console);
        cases.put("consumer_groups", Tools::consumerGroups);
        cases.put("offsets_as_kafka_writes_them", Tools::offsetsTopic);
        cases.put("configs", Tools::configs);
        cases.put("configs_of_users", Tools::users);
        cases.put("acls", Tools::acls);
        cases.put("get_offsets", Tools::getOffsets);
        cases.put("delete_records", Tools::deleteRecords);
        cases.put("producer_performance", Tools::performance);
        cases.put("verifiable_producer_and_consumer", Tools::verifiable);
        cases.put("log_dirs", Tools::logDirs);
        cases.put("transactions", Tools::transactions);
        cases.put("groups_are_deleted", Tools::groupsDeleted);
        cases.put("topics_are_deleted", Tools::topicsDeleted);
        cases.forEach((name, body) -> {
            String error = null;
            try {
                body.run();
            } catch (Throwable thrown) {
                error = String.valueOf(thrown);
            }
            String shown = error == null ? "null" : '"' + error.replace("\\", "\\\\").replace("\"", "'").replaceAll("\\p{Cntrl}", " ") + '"';
            OUT.println("{\"case\": \"" + name + "\", \"error\": " + shown + "}");
        });
        OUT.flush();
        Runtime.getRuntime().halt(0);
    }

    /** Runs a tool; what it printed on both streams. It has to end well. */
    static String tool(String name, Object... arguments) throws Exception {
        return ended(name, "", 0, arguments);
    }

    static String ended(String name, String input, int wanted, Object... arguments) throws Exception {
        String[] line = Arrays.stream(arguments).map(String::valueOf).toArray(String[]::new);
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        PrintStream stream = new PrintStream(printed, true, StandardCharsets.UTF_8), errors = System.err;
        InputStream stdin = System.in;
        exitCode = null;
        System.setOut(stream);
        System.setErr(stream);
        System.setIn(new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)));
        try {
            Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) line);
        } catch (java.lang.reflect.InvocationTargetException thrown) {
            if (!(thrown.getCause() instanceof Exited)) throw new AssertionError(name + ": " + printed, thrown.getCause());
        } finally {
            System.setOut(OUT);
            System.setErr(errors);
            System.setIn(stdin);
        }
        String text = printed.toString(StandardCharsets.UTF_8);
        int code = exitCode == null ? 0 : exitCode;
        if (code != wanted) throw new AssertionError(name + " " + Arrays.toString(line) + " ended with " + code + ": " + text);
        return text;
    }

    /** Runs a tool that says something at the end of its process in one of its own. */
    static String process(String name, Object... arguments) throws Exception {
        List<String> line = new ArrayList<>(List.of("java", "-cp", System.getProperty("java.class.path"), name));
        for (Object argument : arguments) line.add(String.valueOf(argument));
        Process process = new ProcessBuilder(line).redirectErrorStream(true).start();
        String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (process.waitFor() != 0) throw new AssertionError(line + ": " + text);
        return text;
    }

    /** Each of the patterns has to be found. */
    static void found(String text, String... patterns) {
        for (String pattern : patterns) {
            if (!Pattern.compile(pattern).matcher(text).find()) throw new AssertionError("no `" + pattern + "` in " + text);
        }
    }

    static String file(String text) throws IOException {
        Path path = Files.createTempFile("tools", ".json");
        path.toFile().deleteOnExit();
        return Files.writeString(path, text).toString();
    }

    static String topicCommand(Object... arguments) throws Exception {
        List<Object> line = new ArrayList<>(List.of("--bootstrap-server", servers));
        line.addAll(List.of(arguments));
        return tool("org.apache.kafka.tools.TopicCommand", line.toArray());
    }

    static String groupCommand(Object... arguments) throws Exception {
        List<Object> line = new ArrayList<>(List.of("--bootstrap-server", servers));
        line.addAll(List.of(arguments));
        return tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", line.toArray());
    }

    static void apiVersions() throws Exception {
        String text = tool("org.apache.kafka.tools.BrokerApiVersionsCommand", "--bootstrap-server", servers);
        found(text, "Produce\\(0\\)", "Fetch\\(1\\)", "ConsumerGroupHeartbeat\\(68\\)", "DescribeTopicPartitions\\(75\\)");
    }

    static void topics() throws Exception {
        topicCommand("--create", "--topic", topic, "--partitions", 2, "--replication-factor", 1, "--config", "retention.ms=-1");
        topicCommand("--create", "--topic", topic, "--if-not-exists");
        found(topicCommand("--list"), topic);
        found(topicCommand("--describe", "--topic", topic), "PartitionCount: 2", "ReplicationFactor: 1", "retention.ms=-1", "Partition: 1\\s+Leader: 1");
        topicCommand("--alter", "--topic", topic, "--partitions", 3);
        found(topicCommand("--describe", "--topic", topic), "PartitionCount: 3");
        found(ended("org.apache.kafka.tools.TopicCommand", "", 1, "--bootstrap-server", servers, "--create", "--topic", topic),
            "already exists");
    }

    static void console() throws Exception {
        StringBuilder lines = new StringBuilder();
        for (int number = 0; number < 30; number++) lines.append("k").append(number).append(":v").append(number).append('\n');
        ended("org.apache.kafka.tools.ConsoleProducer", lines.toString(), 0, "--bootstrap-server", servers, "--topic", topic,
            "--reader-property", "parse.key=true", "--reader-property", "key.separator=:");
        String text = tool("org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", servers, "--topic", topic, "--from-beginning",
            "--max-messages", 30, "--group", group, "--timeout-ms", 60000, "--formatter-property", "print.key=true", "--formatter-property", "print.offset=true");
        for (int number = 0; number < 30; number++) found(text, "\\bk" + number + "\tv" + number + "\n");
        found(text, "Processed a total of 30 messages");
    }

    static void consumerGroups() throws Exception {
        found(groupCommand("--list"), group);
        found(groupCommand("--describe", "--group", group), topic + "\\s+0\\s+\\d+\\s+\\d+\\s+0\\b");
        found(groupCommand("--describe", "--group", group, "--state"), "Empty");
        found(groupCommand("--group", group, "--reset-offsets", "--to-earliest", "--topic", topic, "--execute"), topic + "\\s+2\\s+0\\b");
        found(groupCommand("--describe", "--group", group), topic + "\\s+1\\s+0\\s+");
        found(groupCommand("--group", group, "--reset-offsets", "--shift-by", 1, "--topic", topic, "--execute"), topic + "\\s+2\\s+1\\b");
        groupCommand("--group", group, "--delete-offsets", "--topic", topic);
    }

    /** The topics in which a broker keeps offsets and transactions have records that Kafka's own tools read. */
    static void offsetsTopic() throws Exception {
        String other = "offsets-of-" + topic;
        String text = process("org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", servers, "--topic", "__consumer_offsets",
            "--from-beginning", "--timeout-ms", 4000, "--group", other, "--formatter", "org.apache.kafka.tools.consumer.OffsetsMessageFormatter");
        found(text, "\"group\":\"" + group + "\",\"topic\":\"" + topic + "\",\"partition\":0\\}.*\"offset\":\\d+");
    }

    static void configs() throws Exception {
        Object[] at = {"--bootstrap-server", servers, "--entity-type", "topics", "--entity-name", topic};
        BiFunction<String, String, Object[]> with = (verb, value) -> {
            List<Object> line = new ArrayList<>(List.of(at));
            line.addAll(List.of("--alter", verb, value));
            return line.toArray();
        };
        String command = "kafka.admin.ConfigCommand";
        tool(command, with.apply("--add-config", "retention.bytes=123456789,cleanup.policy=[compact,delete]"));
        String text = tool(command, "--bootstrap-server", servers, "--entity-type", "topics", "--entity-name", topic, "--describe");
        found(text, "retention.bytes=123456789", "cleanup.policy=compact,delete", "retention.ms=-1");
        tool(command, with.apply("--delete-config", "retention.bytes,cleanup.policy"));
        text = tool(command, "--bootstrap-server", servers, "--entity-type", "topics", "--entity-name", topic, "--describe");
        if (text.contains("retention.bytes=123456789")) throw new AssertionError(text);
        text = tool(command, "--bootstrap-server", servers, "--entity-type", "topics", "--entity-name", topic, "--describe", "--all");
        found(text, "segment.bytes=\\d+", "compression.type=producer");
        found(tool(command, "--bootstrap-server", servers, "--entity-type", "brokers", "--entity-name", "1", "--describe", "--all"), "log.retention");
    }

    static void users() throws Exception {
        String command = "kafka.admin.ConfigCommand", user = "user-of-" + topic;
        tool(command, "--bootstrap-server", servers, "--alter", "--entity-type", "users", "--entity-name", user,
            "--add-config", "SCRAM-SHA-256=[iterations=8192,password=secret]");
        found(tool(command, "--bootstrap-server", servers, "--describe", "--entity-type", "users", "--entity-name", user), "SCRAM-SHA-256=iterations=8192");
        tool(command, "--bootstrap-server", servers, "--alter", "--entity-type", "users", "--entity-name", user, "--delete-config", "SCRAM-SHA-256");
    }

    static void acls() throws Exception {
        String command = "org.apache.kafka.tools.AclCommand";
        String resource = "rights-of-" + topic;
        found(tool(command, "--bootstrap-server", servers, "--add", "--allow-principal", "User:alice", "--producer", "--topic", resource),
            "principal=User:alice, host=\\*, operation=WRITE, permissionType=ALLOW");
        tool(command, "--bootstrap-server", servers, "--add", "--deny-principal", "User:bob", "--operation", "Read", "--topic", resource,
            "--resource-pattern-type", "prefixed");
        found(tool(command, "--bootstrap-server", servers, "--list", "--topic", resource, "--resource-pattern-type", "any"),
            "User:alice, host=\\*, operation=CREATE", "User:bob, host=\\*, operation=READ, permissionType=DENY");
        tool(command, "--bootstrap-server", servers, "--remove", "--force", "--topic", resource, "--resource-pattern-type", "any");
        String text = tool(command, "--bootstrap-server", servers, "--list", "--topic", resource, "--resource-pattern-type", "any");
        if (text.contains("User:")) throw new AssertionError(text);
    }

    static void getOffsets() throws Exception {
        String command = "org.apache.kafka.tools.GetOffsetShell";
        String text = tool(command, "--bootstrap-server", servers, "--topic", topic);
        int sum = text.lines().filter(line -> line.startsWith(topic)).mapToInt(line -> Integer.parseInt(line.split(":")[2])).sum();
        if (sum != 30) throw new AssertionError(text);
        found(tool(command, "--bootstrap-server", servers, "--topic", topic, "--time", "earliest"), topic + ":0:0", topic + ":2:0");
        found(tool(command, "--bootstrap-server", servers, "--topic", topic, "--time", "max-timestamp"), topic + ":0:\\d+");
    }

    static void deleteRecords() throws Exception {
        String command = "org.apache.kafka.tools.DeleteRecordsCommand";
        String json = "{\"partitions\": [{\"topic\": \"" + topic + "\", \"partition\": 0, \"offset\": 1}], \"version\": 1}";
        found(tool(command, "--bootstrap-server", servers, "--offset-json-file", file(json)), "low_watermark: 1");
        found(tool("org.apache.kafka.tools.GetOffsetShell", "--bootstrap-server", servers, "--topic", topic, "--time", "earliest"), topic + ":0:1");
    }

    static void performance() throws Exception {
        String text = tool("org.apache.kafka.tools.ProducerPerformance", "--topic", topic, "--num-records", 20000, "--record-size", 100, "--throughput", -1,
            "--bootstrap-server", servers, "--command-property", "acks=all");
        found(text, "20000 records sent");
        text = tool("org.apache.kafka.tools.ProducerPerformance", "--topic", topic, "--num-records", 500, "--record-size", 100, "--throughput", -1,
            "--bootstrap-server", servers, "--transactional-id", "perf-" + topic, "--transaction-duration-ms", 50);
        found(text, "500 records sent");
        text = tool("org.apache.kafka.tools.ConsumerPerformance", "--bootstrap-server", servers, "--topic", topic, "--num-records", 20000, "--timeout", 60000);
        found(text, "\n\\d{4}-\\d\\d-\\d\\d.*, 2\\d{4},");
    }

    static void verifiable() throws Exception {
        String target = "verifiable-" + topic;
        topicCommand("--create", "--topic", target, "--partitions", 1);
        String text = process("org.apache.kafka.tools.VerifiableProducer", "--bootstrap-server", servers, "--topic", target, "--max-messages", 500, "--acks", "-1");
        found(text, "\"sent\":500", "\"acked\":500");
        text = process("org.apache.kafka.tools.VerifiableConsumer", "--bootstrap-server", servers, "--topic", target, "--group-id", "verifiable-" + group,
            "--max-messages", 500, "--reset-policy", "earliest", "--verbose");
        found(text, "partitions_assigned", "\"value\":\"499\"", "offsets_committed.*\"offset\":500");
    }

    static void logDirs() throws Exception {
        String text = tool("org.apache.kafka.tools.LogDirsCommand", "--bootstrap-server", servers, "--describe", "--topic-list", topic);
        found(text, "\"partition\":\"" + topic + "-0\",\"size\":[1-9]\\d*");
    }

    static void transactions() throws Exception {
        String command = "org.apache.kafka.tools.TransactionsCommand";
        found(tool(command, "--bootstrap-server", servers, "list"), "perf-" + topic + "\\s+1\\s+\\d+\\s+Complete(Commit|Abort)");
        found(tool(command, "--bootstrap-server", servers, "describe", "--transactional-id", "perf-" + topic), "CompleteCommit");
        tool(command, "--bootstrap-server", servers, "describe-producers", "--topic", topic, "--partition", 0);
        found(tool(command, "--bootstrap-server", servers, "find-hanging", "--broker-id", 1), "Topic\\s+Partition");
    }

    static void groupsDeleted() throws Exception {
        found(groupCommand("--delete", "--group", group), "successful");
        if (groupCommand("--list").lines().anyMatch(group::equals)) throw new AssertionError("still there");
    }

    static void topicsDeleted() throws Exception {
        topicCommand("--delete", "--topic", topic);
        for (long deadline = System.currentTimeMillis() + 60_000; topicCommand("--list").lines().anyMatch(topic::equals);) {
            if (System.currentTimeMillis() > deadline) throw new AssertionError("still there");
        }
    }
}
