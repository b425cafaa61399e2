import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Locale;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.processor.StateRestoreListener;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.QueryableStoreTypes;

/**
 * The application: counts the words of {@code lines} into {@code counts} (every new count is a record), and joins {@code left}
 * with {@code right} by key, within a window of event time, into {@code pairs}.
 *
 * <p>Arguments: windowMs, then the properties of Kafka Streams as key=value. What happens is printed a line each, with tabs
 * between. {@code store} on the standard input prints what the store of counts holds; the end of the input stops the application.
 */
public final class StreamsApp {
    private StreamsApp() {}

    static synchronized void say(Object... parts) {
        StringBuilder line = new StringBuilder();
        for (Object part : parts) {
            line.append(line.length() == 0 ? "" : "\t").append(part);
        }
        System.out.println(line);
        System.out.flush();
    }

    public static void main(String[] args) throws Exception {
        Duration window = Duration.ofMillis(Long.parseLong(args[0]));
        Properties properties = new Properties();
        for (String pair : Arrays.asList(args).subList(1, args.length)) {
            int at = pair.indexOf('=');
            properties.put(pair.substring(0, at), pair.substring(at + 1));
        }
        StreamsBuilder builder = new StreamsBuilder();
        words(builder);
        join(builder, window);
        KafkaStreams streams = new KafkaStreams(builder.build(), properties);
        streams.setStateListener((now, before) -> say("state", now));
        streams.setUncaughtExceptionHandler(e -> {
            say("exception", Thread.currentThread().getName(), String.valueOf(e).replaceAll("\\s+", " "));
            return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        streams.setGlobalStateRestoreListener(new Restores());
        streams.start();

        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            if (line.equals("store")) {
                store(streams);
            }
        }
        say("closed", streams.close(Duration.ofSeconds(60)));
        // A thread that does not end must not keep the run waiting; "closed false" tells of it.
        Runtime.getRuntime().halt(0);
    }

    private static void words(StreamsBuilder builder) {
        Serde<String> text = Serdes.String();
        AtomicLong seen = new AtomicLong();
        builder.stream("lines", Consumed.with(text, text))
                .flatMapValues(line -> Arrays.asList(line.toLowerCase(Locale.ROOT).split(" ")))
                .groupBy((key, word) -> word, Grouped.with("words", text, text))
                .count(Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("counts").withKeySerde(text).withValueSerde(Serdes.Long()))
                .toStream()
                .peek((word, count) -> {
                    if (seen.incrementAndGet() % 100 == 0) {
                        say("progress", seen.get());
                    }
                })
                .mapValues(count -> Long.toString(count))
                .to("counts", Produced.with(text, text));
    }

    private static void join(StreamsBuilder builder, Duration window) {
        Serde<String> text = Serdes.String();
        // Nothing may be late: after a kill one side can be far ahead of the other.
        JoinWindows windows = JoinWindows.ofTimeDifferenceAndGrace(window, Duration.ofHours(2));
        builder.stream("left", Consumed.with(text, text))
                .join(builder.stream("right", Consumed.with(text, text)), (left, right) -> left + ":" + right, windows,
                        StreamJoined.with(text, text, text).withName("pair").withStoreName("pair"))
                .to("pairs", Produced.with(text, text));
    }

    private static void store(KafkaStreams streams) {
        StringBuilder out = new StringBuilder();
        try (KeyValueIterator<String, Long> all =
                streams.store(StoreQueryParameters.fromNameAndType("counts", QueryableStoreTypes.<String, Long>keyValueStore())).all()) {
            while (all.hasNext()) {
                KeyValue<String, Long> entry = all.next();
                out.append(out.length() == 0 ? "" : ",").append(entry.key).append('=').append(entry.value);
            }
            say("store", out);
        } catch (RuntimeException e) {
            say("no-store", e);
        }
    }

    /** Prints how many records of a changelog a store was restored from. */
    private static final class Restores implements StateRestoreListener {
        @Override
        public void onRestoreStart(TopicPartition partition, String store, long from, long to) {
            say("restoring", partition, from, to);
        }

        @Override
        public void onBatchRestored(TopicPartition partition, String store, long end, long count) {}

        @Override
        public void onRestoreEnd(TopicPartition partition, String store, long total) {
            say("restored", partition, total);
        }
    }
}
