import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterClientQuotasOptions;
import org.apache.kafka.clients.admin.AlterConfigsOptions;
import org.apache.kafka.clients.admin.CreateDelegationTokenOptions;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.DescribeDelegationTokenOptions;
import org.apache.kafka.clients.admin.DescribeTransactionsResult;
import org.apache.kafka.clients.admin.ExpireDelegationTokenOptions;
import org.apache.kafka.clients.admin.FeatureUpdate;
import org.apache.kafka.clients.admin.ListConfigResourcesOptions;
import org.apache.kafka.clients.admin.RaftVoterEndpoint;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.UpdateFeaturesOptions;
import org.apache.kafka.clients.admin.UserScramCredentialDeletion;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.common.security.token.delegation.DelegationToken;

/** What an administrator does with the cluster, users, tokens and transactions. */
final class ClusterActions {
    private static final KafkaPrincipal OTHER = new KafkaPrincipal("User", "other");
    private static final int PATIENCE = 40;
    private static final List<String> TRANSACTIONS = List.of("txn", "none");

    private ClusterActions() {}

    private static AclBinding binding() {
        return new AclBinding(new ResourcePattern(ResourceType.TOPIC, "bound", PatternType.LITERAL),
                new AccessControlEntry("User:nobody", "h", AclOperation.READ, AclPermissionType.ALLOW));
    }

    static void all(Admin admin, Map<String, AclClients.Action> actions) {
        actions.put("describe the cluster", () -> {
            DescribeClusterResult found = admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true));
            return found.nodes().get().size() + " " + TopicActions.operations(found.authorizedOperations().get());
        });
        AclBindingFilter filter = binding().toFilter();
        actions.put("describe ACLs", () -> "ok " + admin.describeAcls(filter).values().get());
        actions.put("create ACLs", () -> TopicActions.each(admin.createAcls(List.of(binding())).values()));
        actions.put("delete ACLs", () -> "ok " + admin.deleteAcls(List.of(filter)).all().get());
        actions.put("alter quotas", () -> {
            ClientQuotaAlteration change = new ClientQuotaAlteration(new ClientQuotaEntity(Map.of("user", "u")),
                    List.of(new ClientQuotaAlteration.Op("consumer_byte_rate", 1.0)));
            return TopicActions.each(admin.alterClientQuotas(List.of(change), new AlterClientQuotasOptions().validateOnly(true)).values());
        });
        actions.put("describe quotas", () -> "ok " + admin.describeClientQuotas(ClientQuotaFilter.all()).entities().get());
        actions.put("describe credentials", () -> "ok " + admin.describeUserScramCredentials().all().get());
        actions.put("describe a credential", () -> "ok " + admin.describeUserScramCredentials(List.of("u")).description("u").get());
        actions.put("delete a credential", () -> TopicActions.each(
                admin.alterUserScramCredentials(List.of(new UserScramCredentialDeletion("u", ScramMechanism.SCRAM_SHA_256))).values()));
        actions.put("describe features", () -> "ok " + new TreeSet<>(admin.describeFeatures().featureMetadata().get().finalizedFeatures().keySet())
                .contains("metadata.version"));
        actions.put("update features", () -> TopicActions.each(admin.updateFeatures(Map.of("no.such", new FeatureUpdate((short) 1,
                FeatureUpdate.UpgradeType.UPGRADE)), new UpdateFeaturesOptions().validateOnly(true)).values()));
        actions.put("describe the quorum", () -> "ok " + admin.describeMetadataQuorum().quorumInfo().get().leaderId());
        actions.put("unregister a broker", () -> AclClients.told(() -> "ok" + (admin.unregisterBroker(77).all().get() == null)));
        RaftVoterEndpoint endpoint = new RaftVoterEndpoint("CONTROLLER", "localhost", 1);
        actions.put("add a voter", () -> AclClients.told(() -> "ok" + admin.addRaftVoter(77, new Uuid(7, 7), java.util.Set.of(endpoint)).all().get()));
        actions.put("remove a voter", () -> AclClients.told(() -> "ok" + admin.removeRaftVoter(77, new Uuid(7, 7)).all().get()));
        actions.put("list config resources", () -> "ok " + admin.listConfigResources(java.util.Set.of(ConfigResource.Type.CLIENT_METRICS),
                new ListConfigResourcesOptions()).all().get());
        for (ConfigResource.Type type : List.of(ConfigResource.Type.BROKER, ConfigResource.Type.GROUP, ConfigResource.Type.CLIENT_METRICS)) {
            String name = type == ConfigResource.Type.BROKER ? "1" : "g";
            String kind = type.name().toLowerCase().replace('_', ' ');
            actions.put("describe configs of a " + kind, () -> AclClients.told(() -> "ok "
                    + (admin.describeConfigs(List.of(new ConfigResource(type, name))).all().get().size())));
            String setting = Map.of(ConfigResource.Type.BROKER, "log.cleaner.threads", ConfigResource.Type.GROUP, "consumer.session.timeout.ms",
                    ConfigResource.Type.CLIENT_METRICS, "interval.ms").get(type);
            String value = Map.of(ConfigResource.Type.BROKER, "1", ConfigResource.Type.GROUP, "45000", ConfigResource.Type.CLIENT_METRICS, "1000").get(type);
            actions.put("alter configs of a " + kind, () -> TopicActions.each(admin.incrementalAlterConfigs(
                    TopicActions.change(type, name, setting, value), new AlterConfigsOptions().validateOnly(true)).values()));
        }
        tokens(admin, actions);
        transactions(admin, actions);
    }

    private static String owners(Collection<DelegationToken> tokens) {
        return new TreeSet<>(tokens.stream().map(t -> t.tokenInfo().ownerAsString()).toList()).toString();
    }

    /** Those that the client is told of, once the broker knows of its newest. */
    private static String owners(Admin admin, DelegationToken newest) throws Exception {
        Collection<DelegationToken> all = List.of();
        for (int attempt = 0; attempt < PATIENCE && !all.contains(newest); attempt++) {
            Thread.sleep(attempt == 0 ? 0 : 50);
            all = admin.describeDelegationToken().delegationTokens().get();
        }
        return owners(all);
    }

    private static String expired(Admin admin, DelegationToken token) {
        return AclClients.told(() -> "expired "
                + (admin.expireDelegationToken(token.hmac(), new ExpireDelegationTokenOptions().expiryTimePeriodMs(-1)).expiryTimestamp().get() > 0));
    }

    private static void tokens(Admin admin, Map<String, AclClients.Action> actions) {
        actions.put("a token of one's own", () -> {
            DelegationToken token = admin.createDelegationToken().delegationToken().get();
            String all = owners(admin, token);
            String renewed = AclClients.told(() -> "renewed " + (admin.renewDelegationToken(token.hmac()).expiryTimestamp().get() > 0));
            return all + " " + renewed + " " + expired(admin, token);
        });
        actions.put("a token for somebody else", () -> {
            DelegationToken token = admin.createDelegationToken(new CreateDelegationTokenOptions().owner(OTHER)).delegationToken().get();
            return token.tokenInfo().ownerAsString() + " " + owners(admin, token) + " " + expired(admin, token);
        });
        actions.put("tokens of somebody else", () -> owners(admin.describeDelegationToken(new DescribeDelegationTokenOptions().owners(List.of(OTHER)))
                .delegationTokens().get()));
        actions.put("a token that nobody made", () -> AclClients.told(() -> "renewed " + admin.renewDelegationToken(new byte[] {7}).expiryTimestamp().get())
                + " " + AclClients.told(() -> "expired " + admin.expireDelegationToken(new byte[] {7}).expiryTimestamp().get()));
    }

    private static void transactions(Admin admin, Map<String, AclClients.Action> actions) {
        actions.put("describe transactions", () -> {
            DescribeTransactionsResult found = admin.describeTransactions(TRANSACTIONS);
            return TRANSACTIONS.stream().map(id -> AclClients.told(() -> "ok " + found.description(id).get().state())).collect(Collectors.joining("; "));
        });
        actions.put("list transactions", () -> new TreeSet<>(admin.listTransactions().all().get().stream().map(TransactionListing::transactionalId)
                .toList()).contains("txn") ? "told of it" : "not told of it");
        actions.put("fence producers", () -> TRANSACTIONS.stream().map(id -> AclClients.told(() -> "ok"
                + (admin.fenceProducers(List.of(id)).fencedProducers().get(id).get() == null))).collect(Collectors.joining("; ")));
        actions.put("terminate a transaction", () -> AclClients.told(() -> "ok" + admin.forceTerminateTransaction("txn").result().get()));
    }
}
