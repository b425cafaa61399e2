/*
 * Transactional producers on librdkafka that do what the standard input says: the commands of TransactionClients.java that are for
 * producers. Each prints one line: "ok", a value, or the error as its name, whether it is fatal, retriable or abortable, and its text.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rdkafka.h"

#define PRODUCERS 64
#define WORDS 16

struct sent {
        int done;
        rd_kafka_resp_err_t err;
        int32_t partition;
        int64_t offset;
        char topic[128];
        struct sent *next;
};

static struct {
        char name[64];
        rd_kafka_t *rk;
        struct sent *posted;
} producers[PRODUCERS];
static int producer_count;
static int patience_ms = 7000;

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
        struct sent *sent = message->_private;
        (void)rk;
        (void)opaque;
        sent->err       = message->err;
        sent->partition = message->partition;
        sent->offset    = message->offset;
        snprintf(sent->topic, sizeof(sent->topic), "%s", rd_kafka_topic_name(message->rkt));
        sent->done = 1;
}

/* What became of an operation; takes the error. */
static void tell(rd_kafka_error_t *error) {
        if (!error) {
                printf("ok\n");
                return;
        }
        printf("%s%s%s%s: %s\n", rd_kafka_error_name(error), rd_kafka_error_is_fatal(error) ? " fatal" : "",
               rd_kafka_error_is_retriable(error) ? " retriable" : "", rd_kafka_error_txn_requires_abort(error) ? " abortable" : "",
               rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
}

static int find(const char *name) {
        for (int i = producer_count - 1; i >= 0; i--)
                if (!strcmp(producers[i].name, name) && producers[i].rk)
                        return i;
        return -1;
}

static void make(char **words, int count) {
        char why[512];
        rd_kafka_conf_t *conf = rd_kafka_conf_new();
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
        for (int i = 2; i < count; i++) {
                char *value = strchr(words[i], '=');
                *value++    = 0;
                if (rd_kafka_conf_set(conf, words[i], value, why, sizeof(why)) != RD_KAFKA_CONF_OK) {
                        printf("%s\n", why);
                        return;
                }
        }
        rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
        if (!rk || producer_count == PRODUCERS) {
                printf("no producer: %s\n", why);
                return;
        }
        snprintf(producers[producer_count].name, sizeof(producers[0].name), "%s", words[1]);
        producers[producer_count].rk     = rk;
        producers[producer_count].posted = NULL;
        producer_count++;
        printf("ok\n");
}

/* send WHO topic partition key value [timestamp] */
static struct sent *post(rd_kafka_t *rk, char **words, int count, rd_kafka_resp_err_t *err) {
        struct sent *sent = calloc(1, sizeof(*sent));
        *err = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(words[2]), RD_KAFKA_V_PARTITION(atoi(words[3])), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                 RD_KAFKA_V_KEY(words[4], strlen(words[4])), RD_KAFKA_V_VALUE(words[5], strlen(words[5])),
                                 RD_KAFKA_V_TIMESTAMP(count > 6 ? atoll(words[6]) : 0), RD_KAFKA_V_OPAQUE(sent), RD_KAFKA_V_END);
        return sent;
}

static void tell_sent(rd_kafka_t *rk, struct sent *sent) {
        for (int waited = 0; !sent->done && waited < patience_ms; waited += 50)
                rd_kafka_poll(rk, 50);
        if (!sent->done)
                printf("no delivery report");
        else if (sent->err)
                printf("failed: %s", rd_kafka_err2name(sent->err));
        else
                printf("%s-%d@%lld", sent->topic, (int)sent->partition, (long long)sent->offset);
}

static void send_one(int at, char **words, int count) {
        rd_kafka_resp_err_t err;
        rd_kafka_t *rk    = producers[at].rk;
        struct sent *sent = post(rk, words, count, &err);
        if (err) {
                printf("%s\n", rd_kafka_err2name(err));
                return;
        }
        if (!strcmp(words[0], "post")) {
                struct sent **last = &producers[at].posted;
                while (*last)
                        last = &(*last)->next;
                *last = sent;
                printf("ok\n");
                return;
        }
        tell_sent(rk, sent);
        printf("\n");
}

static void outcomes(int at) {
        for (struct sent *sent = producers[at].posted; sent; sent = sent->next) {
                tell_sent(producers[at].rk, sent);
                if (sent->next)
                        printf("; ");
        }
        printf("\n");
        producers[at].posted = NULL;
}

/* offsets WHO group generation member instance topic:partition:offset,... */
static void offsets(rd_kafka_t *rk, char **words) {
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(4);
        rd_kafka_consumer_group_metadata_t *group =
            rd_kafka_consumer_group_metadata_new_with_genid(words[2], atoi(words[3]), words[4], *words[5] ? words[5] : NULL);
        char *outer, *inner;
        for (char *one = strtok_r(words[6], ",", &outer); one; one = strtok_r(NULL, ",", &outer)) {
                char *topic   = strtok_r(one, ":", &inner);
                int partition = atoi(strtok_r(NULL, ":", &inner));
                rd_kafka_topic_partition_list_add(list, topic, partition)->offset = atoll(strtok_r(NULL, ":", &inner));
        }
        tell(rd_kafka_send_offsets_to_transaction(rk, list, group, patience_ms));
        rd_kafka_consumer_group_metadata_destroy(group);
        rd_kafka_topic_partition_list_destroy(list);
}

static void perform(char **words, int count) {
        int at = count > 1 ? find(words[1]) : -1;
        if (!strcmp(words[0], "producer")) {
                make(words, count);
                return;
        }
        if (!strcmp(words[0], "patience")) {
                patience_ms = atoi(words[1]);
                printf("ok\n");
                return;
        }
        if (at < 0) {
                printf("no such producer\n");
                return;
        }
        rd_kafka_t *rk = producers[at].rk;
        if (!strcmp(words[0], "init"))
                tell(rd_kafka_init_transactions(rk, patience_ms));
        else if (!strcmp(words[0], "begin"))
                tell(rd_kafka_begin_transaction(rk));
        else if (!strcmp(words[0], "send") || !strcmp(words[0], "post"))
                send_one(at, words, count);
        else if (!strcmp(words[0], "outcomes"))
                outcomes(at);
        else if (!strcmp(words[0], "flush"))
                printf("%s\n", rd_kafka_err2name(rd_kafka_flush(rk, patience_ms)));
        else if (!strcmp(words[0], "commit"))
                tell(rd_kafka_commit_transaction(rk, patience_ms));
        else if (!strcmp(words[0], "abort"))
                tell(rd_kafka_abort_transaction(rk, patience_ms));
        else if (!strcmp(words[0], "offsets"))
                offsets(rk, words);
        else if (!strcmp(words[0], "close")) {
                rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
                rd_kafka_destroy(rk);
                producers[at].rk = NULL;
                printf("ok\n");
        } else
                printf("no such command\n");
}

int main(void) {
        char line[8192];
        while (fgets(line, sizeof(line), stdin)) {
                char *words[WORDS] = {0}, *rest = line;
                int count = 0;
                line[strcspn(line, "\n")] = 0;
                while (rest && count < WORDS)
                        words[count++] = strsep(&rest, "\t");
                perform(words, count);
                fflush(stdout);
        }
        return 0;
}
