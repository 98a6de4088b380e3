import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.function.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.acl.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.resource.*;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * What a Java client of any version does with a broker, one line of JSON for each case. It is compiled against the oldest client
 * and runs with every later one.
 *
 * Arguments: bootstrap servers.
 */
public class Client {
    static final Duration STEP = Duration.ofMillis(50);
    static final long PATIENCE_MS = 60_000;
    static String servers;
    static String run = "java-" + ProcessHandle.current().pid() + "-" + System.currentTimeMillis();
    static Admin admin;

    interface Case {
        void run() throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        servers = arguments[0];
        admin = Admin.create(settings());
        Map<String, Case> cases = new LinkedHashMap<>();
        cases.put("topics", Client::topics);
        cases.put("configs", Client::configs);
        cases.put("records_in_every_codec", Client::records);
        cases.put("offsets_by_time", Client::offsets);
        cases.put("records_are_deleted", Client::deleted);
        cases.put("transactions_copy_with_offsets", Client::transactions);
        cases.put("an_older_producer_is_fenced", Client::fenced);
        cases.put("eager_group", () -> group("eager", Map.of("heartbeat.interval.ms", 300, "partition.assignment.strategy", RoundRobinAssignor.class.getName())));
        cases.put("cooperative_group", () -> group("cooperative", Map.of("heartbeat.interval.ms", 300, "partition.assignment.strategy", CooperativeStickyAssignor.class.getName())));
        cases.put("static_member", Client::staticMember);
        cases.put("groups_are_administered", Client::groups);
        cases.put("rights", Client::rights);
        cases.put("log_folders", Client::logFolders);
        int major = Integer.parseInt(AppInfoParser.getVersion().split("\\.")[0]);
        if (major < 4) {
            cases.put("configs_are_replaced", Client::replaced);
        } else {
            cases.put("consumer_group", () -> group("consumer", Map.of("group.protocol", "consumer")));
            cases.put("consumer_group_by_range", () -> group("consumer-range", Map.of("group.protocol", "consumer", "group.remote.assignor", "range")));
        }
        ExecutorService pool = Executors.newFixedThreadPool(6);
        cases.forEach((name, body) -> pool.submit(() -> {
            String error = null;
            try {
                body.run();
            } catch (Throwable thrown) {
                error = thrown + " at " + Arrays.stream(thrown.getStackTrace())
                    .filter(frame -> frame.getClassName().startsWith("Client")).findFirst().orElse(null)
                    + (thrown.getCause() == null ? "" : " because of " + thrown.getCause());
            }
            String shown = error == null ? "null" : '"' + error.replace("\\", "\\\\").replace("\"", "'").replaceAll("\\p{Cntrl}", " ") + '"';
            System.out.println("{\"case\": \"" + name + "\", \"error\": " + shown + "}");
        }));
        pool.shutdown();
        pool.awaitTermination(5, TimeUnit.MINUTES);
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    static void check(boolean holds, Object... shown) {
        if (!holds) throw new AssertionError(Arrays.deepToString(shown));
    }

    interface Try<T> {
        T get() throws Exception;
    }

    static <T> T get(KafkaFuture<T> future) throws Exception {
        return future.get(PATIENCE_MS, TimeUnit.MILLISECONDS);
    }

    static void refused(Class<? extends Exception> wanted, Case call) throws Exception {
        try {
            call.run();
        } catch (Exception thrown) {
            Throwable cause = thrown instanceof ExecutionException ? thrown.getCause() : thrown;
            check(wanted.isInstance(cause), "not a", wanted.getSimpleName(), cause);
            return;
        }
        check(false, "not refused with", wanted.getSimpleName());
    }

    static void eventually(String what, Try<Boolean> found) throws Exception {
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (!found.get()) {
            check(System.currentTimeMillis() < deadline, "no", what);
            Thread.sleep(20);
        }
    }

    static Map<String, Object> settings() {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", servers);
        return settings;
    }

    static KafkaProducer<String, String> producer(Map<String, Object> more) {
        Map<String, Object> settings = settings();
        settings.put("acks", "all");
        settings.put("enable.idempotence", true);
        settings.put("linger.ms", 5);
        settings.putAll(more);
        return new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
    }

    static KafkaConsumer<String, String> consumer(String group, Map<String, Object> more) {
        Map<String, Object> settings = settings();
        settings.put("group.id", group);
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", false);
        settings.put("isolation.level", "read_committed");
        settings.putAll(more);
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    static String newTopic(String name, int partitions) throws Exception {
        String topic = name + "-" + run;
        // Records of years ago are among those of the cases.
        NewTopic made = new NewTopic(topic, partitions, (short) 1).configs(Map.of("retention.ms", "-1"));
        get(admin.createTopics(List.of(made)).all());
        eventually("topic", () -> get(admin.listTopics().names()).contains(topic));
        return topic;
    }

    /** The method's name changed on the way to 4.0. */
    @SuppressWarnings("unchecked")
    static TopicDescription describe(String topic) throws Exception {
        DescribeTopicsResult result = admin.describeTopics(List.of(topic));
        String name = Arrays.stream(DescribeTopicsResult.class.getMethods()).anyMatch(method -> method.getName().equals("allTopicNames"))
            ? "allTopicNames" : "all";
        KafkaFuture<Map<String, TopicDescription>> future =
            (KafkaFuture<Map<String, TopicDescription>>) DescribeTopicsResult.class.getMethod(name).invoke(result);
        return get(future).get(topic);
    }

    static List<ConsumerRecord<String, String>> read(String topic, int count, Map<String, Object> more) throws Exception {
        try (KafkaConsumer<String, String> reader = consumer("reader-" + run, more)) {
            List<TopicPartition> places = new ArrayList<>();
            reader.partitionsFor(topic).forEach(partition -> places.add(new TopicPartition(topic, partition.partition())));
            reader.assign(places);
            reader.seekToBeginning(places);
            List<ConsumerRecord<String, String>> records = new ArrayList<>();
            eventually(count + " records", () -> {
                reader.poll(STEP).forEach(records::add);
                return records.size() >= count;
            });
            check(records.size() == count, records.size());
            return records;
        }
    }

    static void topics() throws Exception {
        String topic = newTopic("topics", 2);
        TopicDescription described = describe(topic);
        check(described.partitions().size() == 2 && !described.isInternal(), described);
        check(described.partitions().get(0).leader().id() == get(admin.describeCluster().controller()).id(), described);
        check(get(admin.describeCluster().nodes()).size() == 1);
        check(get(admin.describeCluster().clusterId()) != null);
        get(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all());
        eventually("four partitions", () -> describe(topic).partitions().size() == 4);
        refused(TopicExistsException.class, () -> get(admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all()));
        refused(InvalidPartitionsException.class, () -> get(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(1))).all()));
        get(admin.deleteTopics(List.of(topic)).all());
        eventually("its end", () -> !get(admin.listTopics().names()).contains(topic));
        refused(UnknownTopicOrPartitionException.class, () -> describe(topic));
    }

    static ConfigEntry config(String topic, String name) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        return get(admin.describeConfigs(List.of(resource)).all()).get(resource).get(name);
    }

    static void configs() throws Exception {
        String topic = newTopic("configs", 1);
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        check(config(topic, "cleanup.policy").value().equals("delete"));
        AlterConfigOp set = new AlterConfigOp(new ConfigEntry("retention.ms", "12345678"), AlterConfigOp.OpType.SET);
        get(admin.incrementalAlterConfigs(Map.of(resource, List.of(set))).all());
        eventually("the value", () -> config(topic, "retention.ms").value().equals("12345678"));
        check(config(topic, "retention.ms").source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG);
        AlterConfigOp wrong = new AlterConfigOp(new ConfigEntry("retention.ms", "soon"), AlterConfigOp.OpType.SET);
        refused(InvalidConfigurationException.class, () -> get(admin.incrementalAlterConfigs(Map.of(resource, List.of(wrong))).all()));
        AlterConfigOp unset = new AlterConfigOp(new ConfigEntry("retention.ms", ""), AlterConfigOp.OpType.DELETE);
        get(admin.incrementalAlterConfigs(Map.of(resource, List.of(unset))).all());
        eventually("the default", () -> config(topic, "retention.ms").source() != ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG);
    }

    /** AlterConfigs, which clients before 4.0 have: what is not named goes back to its default. */
    static void replaced() throws Exception {
        String topic = newTopic("replaced", 1);
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        for (String[] entry : new String[][] {{"retention.ms", "12345678"}, {"segment.bytes", "2000000"}}) {
            Map<ConfigResource, Config> configs = Map.of(resource, new Config(List.of(new ConfigEntry(entry[0], entry[1]))));
            Object result = Admin.class.getMethod("alterConfigs", Map.class).invoke(admin, configs);
            get(((AlterConfigsResult) result).all());
            eventually("the value", () -> config(topic, entry[0]).value().equals(entry[1]));
        }
        check(config(topic, "retention.ms").source() != ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG);
    }

    static void records() throws Exception {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            String topic = newTopic("records-" + codec, 2);
            try (KafkaProducer<String, String> producer = producer(Map.of("compression.type", codec))) {
                List<Future<RecordMetadata>> acknowledged = new ArrayList<>();
                for (int number = 0; number < 500; number++) {
                    ProducerRecord<String, String> record = new ProducerRecord<>(
                        topic, number % 2, 1_700_000_000_000L + number, "k" + number % 7, number == 5 ? null : "v" + number);
                    record.headers().add("number", String.valueOf(number).getBytes(StandardCharsets.UTF_8));
                    acknowledged.add(producer.send(record));
                }
                for (int number = 0; number < 500; number++) {
                    check(acknowledged.get(number).get().offset() == number / 2, number);
                }
            }
            for (ConsumerRecord<String, String> record : read(topic, 500, Map.of("check.crcs", true))) {
                int number = (int) (record.timestamp() - 1_700_000_000_000L);
                Header header = record.headers().lastHeader("number");
                check(record.partition() == number % 2 && record.offset() == number / 2 && record.key().equals("k" + number % 7)
                    && (number == 5 ? record.value() == null : record.value().equals("v" + number))
                    && new String(header.value(), StandardCharsets.UTF_8).equals(String.valueOf(number)), record);
            }
        }
    }

    static void offsets() throws Exception {
        String topic = newTopic("offsets", 1);
        TopicPartition place = new TopicPartition(topic, 0);
        try (KafkaProducer<String, String> producer = producer(Map.of())) {
            for (long second : new long[] {10, 30, 20}) {
                producer.send(new ProducerRecord<>(topic, 0, 1_700_000_000_000L + second * 1000, null, "v")).get();
            }
        }
        try (KafkaConsumer<String, String> reader = consumer("offsets-" + run, Map.of())) {
            check(reader.beginningOffsets(List.of(place)).get(place) == 0 && reader.endOffsets(List.of(place)).get(place) == 3);
            OffsetAndTimestamp found = reader.offsetsForTimes(Map.of(place, 1_700_000_015_000L)).get(place);
            check(found.offset() == 1 && found.timestamp() == 1_700_000_030_000L, found);
            check(reader.offsetsForTimes(Map.of(place, 1_700_000_031_000L)).get(place) == null);
            reader.assign(List.of(place));
            reader.seek(place, 2);
            check(reader.position(place) == 2);
            eventually("the last record", () -> !reader.poll(STEP).isEmpty());
            reader.commitSync(Map.of(place, new OffsetAndMetadata(2, "noted")));
            OffsetAndMetadata committed = reader.committed(Set.of(place)).get(place);
            check(committed.offset() == 2 && committed.metadata().equals("noted"), committed);
        }
        check(get(admin.listOffsets(Map.of(place, OffsetSpec.latest())).all()).get(place).offset() == 3);
        check(get(admin.listOffsets(Map.of(place, OffsetSpec.earliest())).all()).get(place).offset() == 0);
        check(get(admin.listOffsets(Map.of(place, OffsetSpec.forTimestamp(1_700_000_020_000L))).all()).get(place).offset() == 1);
    }

    static void deleted() throws Exception {
        String topic = newTopic("deleted", 1);
        TopicPartition place = new TopicPartition(topic, 0);
        try (KafkaProducer<String, String> producer = producer(Map.of())) {
            for (int number = 0; number < 10; number++) producer.send(new ProducerRecord<>(topic, "v" + number)).get();
        }
        check(get(admin.deleteRecords(Map.of(place, RecordsToDelete.beforeOffset(6))).lowWatermarks().get(place)).lowWatermark() == 6);
        check(read(topic, 4, Map.of()).get(0).value().equals("v6"));
        refused(org.apache.kafka.common.errors.OffsetOutOfRangeException.class,
            () -> get(admin.deleteRecords(Map.of(place, RecordsToDelete.beforeOffset(11))).lowWatermarks().get(place)));
    }

    static void transactions() throws Exception {
        String source = newTopic("source", 2), target = newTopic("target", 2), group = "copy-" + run;
        try (KafkaProducer<String, String> producer = producer(Map.of())) {
            for (int number = 0; number < 200; number++) producer.send(new ProducerRecord<>(source, "k" + number % 7, "v" + number));
        }
        try (KafkaConsumer<String, String> reader = consumer(group, Map.of("max.poll.records", 20));
             KafkaProducer<String, String> writer = producer(Map.of("transactional.id", "copy-" + run))) {
            writer.initTransactions();
            reader.subscribe(List.of(source));
            int[] copied = {0, 0};
            eventually("the whole copy", () -> {
                ConsumerRecords<String, String> records = reader.poll(STEP);
                if (records.isEmpty()) return false;
                writer.beginTransaction();
                Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
                for (ConsumerRecord<String, String> record : records) {
                    writer.send(new ProducerRecord<>(target, record.key(), record.value()));
                    offsets.put(new TopicPartition(source, record.partition()), new OffsetAndMetadata(record.offset() + 1));
                }
                writer.sendOffsetsToTransaction(offsets, reader.groupMetadata());
                if (copied[1]++ % 3 == 1) {
                    writer.flush();
                    writer.abortTransaction();
                    Map<TopicPartition, OffsetAndMetadata> committed = reader.committed(reader.assignment());
                    reader.assignment().forEach(place -> {
                        OffsetAndMetadata at = committed.get(place);
                        reader.seek(place, at == null ? 0 : at.offset());
                    });
                    return false;
                }
                writer.commitTransaction();
                copied[0] += records.count();
                return copied[0] >= 200;
            });
        }
        Map<String, List<String>> found = new TreeMap<>(), wanted = new TreeMap<>();
        read(target, 200, Map.of()).forEach(record -> found.computeIfAbsent(record.key(), key -> new ArrayList<>()).add(record.value()));
        for (int number = 0; number < 200; number++) wanted.computeIfAbsent("k" + number % 7, key -> new ArrayList<>()).add("v" + number);
        check(found.equals(wanted), found);
        check(read(target, 200, Map.of()).size() == 200);
    }

    static void fenced() throws Exception {
        String topic = newTopic("fenced", 1);
        try (KafkaProducer<String, String> old = producer(Map.of("transactional.id", "fenced-" + run));
             KafkaProducer<String, String> young = producer(Map.of("transactional.id", "fenced-" + run))) {
            old.initTransactions();
            old.beginTransaction();
            old.send(new ProducerRecord<>(topic, "old")).get();
            young.initTransactions();
            young.beginTransaction();
            young.send(new ProducerRecord<>(topic, "young"));
            try {
                old.commitTransaction();
                check(false, "not fenced");
            } catch (ProducerFencedException | InvalidProducerEpochException expected) {
                // Which of the two it is depends on the version.
            }
            young.commitTransaction();
        }
        check(read(topic, 1, Map.of()).get(0).value().equals("young"));
    }

    /** A consumer in a thread of its own. */
    static class Member implements ConsumerRebalanceListener {
        final KafkaConsumer<String, String> reader;
        final Set<TopicPartition> assigned = ConcurrentHashMap.newKeySet();
        final List<String> read = new CopyOnWriteArrayList<>();
        volatile boolean stopped;
        volatile int rebalances;
        volatile Throwable failed;
        final Thread thread;

        Member(String group, String topic, Map<String, Object> more) {
            reader = consumer(group, more);
            thread = new Thread(() -> {
                try {
                    reader.subscribe(List.of(topic), this);
                    while (!stopped) {
                        ConsumerRecords<String, String> records = reader.poll(STEP);
                        records.forEach(record -> read.add(record.value()));
                        if (!records.isEmpty()) reader.commitSync();
                    }
                } catch (RebalanceInProgressException later) {
                    // The next poll takes part in it.
                } catch (Throwable thrown) {
                    failed = thrown;
                } finally {
                    reader.close();
                }
            });
            thread.start();
        }

        public void onPartitionsAssigned(Collection<TopicPartition> places) {
            assigned.addAll(places);
            if (!places.isEmpty()) rebalances++;
        }

        public void onPartitionsRevoked(Collection<TopicPartition> places) {
            assigned.removeAll(places);
        }

        void leave() throws Exception {
            stopped = true;
            thread.join(PATIENCE_MS);
            check(failed == null, failed);
        }
    }

    static void shared(int partitions, Member... members) throws Exception {
        eventually("an even share", () -> {
            int all = 0, most = 0, fewest = partitions;
            for (Member member : members) {
                check(member.failed == null, member.failed);
                all += member.assigned.size();
                most = Math.max(most, member.assigned.size());
                fewest = Math.min(fewest, member.assigned.size());
            }
            return all == partitions && most - fewest <= 1;
        });
    }

    static void group(String name, Map<String, Object> more) throws Exception {
        String topic = newTopic(name, 6), group = name + "-" + run;
        Member first = new Member(group, topic, more), second = new Member(group, topic, more);
        shared(6, first, second);
        Member third = new Member(group, topic, more);
        shared(6, first, second, third);
        second.leave();
        shared(6, first, third);
        Set<String> wanted = new TreeSet<>();
        try (KafkaProducer<String, String> producer = producer(Map.of())) {
            for (int number = 0; number < 300; number++) {
                wanted.add("v" + number);
                producer.send(new ProducerRecord<>(topic, number % 6, null, "v" + number));
            }
        }
        eventually("all records", () -> first.read.size() + third.read.size() >= 300);
        List<String> read = new ArrayList<>(first.read);
        read.addAll(third.read);
        check(read.size() == 300 && new TreeSet<>(read).equals(wanted), read.size());
        first.leave();
        third.leave();
    }

    static void staticMember() throws Exception {
        String topic = newTopic("static", 4), group = "static-" + run;
        Member stays = new Member(group, topic, Map.of("heartbeat.interval.ms", 300, "group.instance.id", "stays"));
        Member restarts = new Member(group, topic, Map.of("group.instance.id", "restarts"));
        shared(4, stays, restarts);
        Set<TopicPartition> had = new HashSet<>(restarts.assigned);
        int rebalances = stays.rebalances;
        restarts.leave();
        Member again = new Member(group, topic, Map.of("group.instance.id", "restarts"));
        eventually("the same partitions", () -> again.assigned.equals(had));
        check(stays.rebalances == rebalances, stays.rebalances, rebalances);
        stays.leave();
        again.leave();
        // Static members do not leave by themselves; an administrator removes them.
        get(admin.removeMembersFromConsumerGroup(group, new RemoveMembersFromConsumerGroupOptions(
            List.of(new MemberToRemove("stays"), new MemberToRemove("restarts")))).all());
        eventually("the empty group", () -> get(admin.describeConsumerGroups(List.of(group)).all()).get(group).members().isEmpty());
    }

    static void groups() throws Exception {
        String topic = newTopic("groups", 2), group = "groups-" + run;
        TopicPartition first = new TopicPartition(topic, 0), second = new TopicPartition(topic, 1);
        get(admin.alterConsumerGroupOffsets(group, Map.of(first, new OffsetAndMetadata(0), second, new OffsetAndMetadata(0))).all());
        Member member = new Member(group, topic, Map.of());
        shared(2, member);
        ConsumerGroupDescription described = get(admin.describeConsumerGroups(List.of(group)).all()).get(group);
        check(described.members().size() == 1 && described.partitionAssignor().equals("range"), described);
        check(described.members().iterator().next().assignment().topicPartitions().equals(Set.of(first, second)), described);
        eventually("it in the list", () -> get(admin.listConsumerGroups().all()).stream().anyMatch(listed -> listed.groupId().equals(group)));
        refused(GroupNotEmptyException.class, () -> get(admin.deleteConsumerGroups(List.of(group)).all()));
        refused(GroupSubscribedToTopicException.class, () -> get(admin.deleteConsumerGroupOffsets(group, Set.of(second)).all()));
        member.leave();
        get(admin.deleteConsumerGroupOffsets(group, Set.of(second)).all());
        check(get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()).keySet().equals(Set.of(first)));
        get(admin.deleteConsumerGroups(List.of(group)).all());
        refused(GroupIdNotFoundException.class, () -> get(admin.deleteConsumerGroups(List.of(group)).all()));
    }

    static void rights() throws Exception {
        AclBinding binding = new AclBinding(
            new ResourcePattern(ResourceType.TOPIC, "rights-" + run, PatternType.PREFIXED),
            new AccessControlEntry("User:alice", "127.0.0.1", AclOperation.WRITE, AclPermissionType.ALLOW));
        get(admin.createAcls(List.of(binding)).all());
        eventually("the right", () -> List.copyOf(get(admin.describeAcls(binding.toFilter()).values())).equals(List.of(binding)));
        check(List.copyOf(get(admin.deleteAcls(List.of(binding.toFilter())).all())).equals(List.of(binding)));
        eventually("its end", () -> get(admin.describeAcls(binding.toFilter()).values()).isEmpty());
    }

    static void logFolders() throws Exception {
        String topic = newTopic("folders", 1);
        try (KafkaProducer<String, String> producer = producer(Map.of())) {
            producer.send(new ProducerRecord<>(topic, "v".repeat(1000))).get();
        }
        int node = get(admin.describeCluster().controller()).id();
        long size = get(admin.describeLogDirs(List.of(node)).allDescriptions()).get(node).values().stream()
            .map(folder -> folder.replicaInfos().get(new TopicPartition(topic, 0)))
            .filter(Objects::nonNull).mapToLong(ReplicaInfo::size).sum();
        check(size > 1000, size);
    }
}
