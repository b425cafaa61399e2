import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.stream.StreamSupport;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateDelegationTokenOptions;
import org.apache.kafka.clients.admin.ExpireDelegationTokenOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.security.token.delegation.DelegationToken;

/** What is done over the plain listener: users, permissions, topics, settings; and delegation tokens. */
final class Preparation {
    private static final int ITERATIONS = 4096;

    private Preparation() {}

    static ObjectNode perform(JsonNode ask, ObjectNode answer) throws Exception {
        try (Admin admin = Admin.create(SecureClients.config(ask))) {
            switch (ask.get("do").asText()) {
                case "user" -> user(admin, ask.get("user").asText(), ask.get("secret").asText());
                case "permissions" -> permissions(admin, ask.get("user").asText());
                case "topics" -> topics(admin, ask.get("topics"));
                case "set" -> admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.BROKER, "1"), List.of(new AlterConfigOp(
                        new ConfigEntry(ask.get("name").asText(), ask.get("value").asText()), AlterConfigOp.OpType.SET)))).all().get();
                case "token" -> token(admin, answer);
                case "expire" -> {
                    byte[] hmac = Base64.getDecoder().decode(ask.get("hmac").asText());
                    admin.expireDelegationToken(hmac, new ExpireDelegationTokenOptions().expiryTimePeriodMs(-1)).expiryTimestamp().get();
                    settled(admin, hmac, false);
                }
                default -> throw new IllegalArgumentException("no such command: " + ask);
            }
        }
        return answer;
    }

    private static void user(Admin admin, String name, String secret) throws Exception {
        for (ScramMechanism mechanism : List.of(ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)) {
            // One request changes a user once.
            admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(name, new ScramCredentialInfo(mechanism, ITERATIONS), secret))).all().get();
        }
    }

    /** All topics and groups. */
    private static void permissions(Admin admin, String name) throws Exception {
        AccessControlEntry all = new AccessControlEntry("User:" + name, "*", AclOperation.ALL, AclPermissionType.ALLOW);
        List<AclBinding> bindings = new ArrayList<>();
        for (ResourceType type : List.of(ResourceType.TOPIC, ResourceType.GROUP)) {
            bindings.add(new AclBinding(new ResourcePattern(type, "*", PatternType.LITERAL), all));
        }
        admin.createAcls(bindings).all().get();
    }

    private static void topics(Admin admin, JsonNode names) throws Exception {
        admin.createTopics(StreamSupport.stream(names.spliterator(), false).map(n -> new NewTopic(n.asText(), 1, (short) 1)).toList()).all().get();
        // The coordinator of groups takes its time when it is asked for the first time.
        admin.listConsumerGroupOffsets("first").all().get();
    }

    private static void token(Admin admin, ObjectNode answer) throws Exception {
        DelegationToken token = admin.createDelegationToken(new CreateDelegationTokenOptions().maxLifetimeMs(600_000)).delegationToken().get();
        settled(admin, token.hmac(), true);
        answer.put("id", token.tokenInfo().tokenId()).put("hmac", token.hmacAsBase64String());
    }

    /** Waits until the broker knows of the token, or no longer does. */
    private static void settled(Admin admin, byte[] hmac, boolean there) throws Exception {
        for (int attempt = 0; attempt < 100; attempt++) {
            if (admin.describeDelegationToken().delegationTokens().get().stream().anyMatch(t -> Arrays.equals(t.hmac(), hmac)) == there) {
                return;
            }
            Thread.sleep(50);
        }
        throw new IllegalStateException("the broker does not follow");
    }
}
