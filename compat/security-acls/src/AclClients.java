import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;

/**
 * Java's clients do what a line on the standard input names, as somebody who may do little, and print what came of it: {@code ok}
 * and what was told of, or the exceptions with their messages. Objects a line each way.
 */
public final class AclClients {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** Something that a client does. */
    interface Action {
        String run() throws Exception;
    }

    private AclClients() {}

    static Map<String, Object> config(String bootstrap, String user) {
        Map<String, Object> config = new TreeMap<>();
        config.put("bootstrap.servers", bootstrap);
        config.put("security.protocol", "SASL_PLAINTEXT");
        config.put("sasl.mechanism", "PLAIN");
        config.put("sasl.jaas.config",
                "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"" + user + "\" password=\"" + user + "\";");
        return config;
    }

    /** What came of an action: its own words, or the exceptions, each with its message. */
    static String told(Action action) {
        Throwable at;
        try {
            return action.run();
        } catch (ExecutionException e) {
            at = e.getCause();
        } catch (Exception e) {
            at = e;
        }
        StringBuilder out = new StringBuilder();
        for (; at != null; at = at.getCause()) {
            out.append(out.length() == 0 ? "" : " <- ").append(at.getClass().getSimpleName()).append(": ").append(at.getMessage());
        }
        return out.toString().replaceAll("\\s+", " ");
    }

    public static void main(String[] args) throws Exception {
        Map<String, Object> config = config(args[0], args[1]);
        Map<String, Object> impatient = new TreeMap<>(config);
        // What is asked again until it succeeds.
        impatient.putAll(Map.of("request.timeout.ms", "4000", "default.api.timeout.ms", "4000"));
        try (Admin admin = Admin.create(impatient)) {
            Map<String, Action> actions = new TreeMap<>();
            TopicActions.all(admin, actions);
            ClusterActions.all(admin, actions);
            GroupActions.all(admin, config, actions);
            ProducerActions.all(config, actions);
            BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                ObjectNode answer = JSON.createObjectNode();
                JsonNode ask = JSON.readTree(line);
                if (ask.has("list")) {
                    actions.keySet().forEach(answer.putArray("actions")::add);
                } else {
                    answer.put("told", told(actions.get(ask.get("do").asText())));
                }
                System.out.println(JSON.writeValueAsString(answer));
                System.out.flush();
            }
        }
        Runtime.getRuntime().halt(0);
    }
}
