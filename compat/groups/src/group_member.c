/*
 * One member of a group, on librdkafka: group_member NAME TOPIC key=value ...
 *
 * Prints what happens in the form of GroupMembers.java. Commits after every record, by itself and synchronously. The end of the
 * standard input, or SIGTERM, makes it leave the group.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "rdkafka.h"

static volatile sig_atomic_t stopped;
static const char *name;

static void on_signal(int signal) {
        (void)signal;
        stopped = 1;
}

static void begin(const char *event) {
        struct timeval now;
        gettimeofday(&now, NULL);
        printf("%lld\t%s\t%s\t", now.tv_sec * 1000LL + now.tv_usec / 1000, name, event);
}

static void end(void) {
        printf("\n");
        fflush(stdout);
}

static void say_partitions(const char *event, const rd_kafka_topic_partition_list_t *partitions) {
        begin(event);
        for (int i = 0; i < partitions->cnt; i++)
                printf("%s%s:%d", i ? "," : "", partitions->elems[i].topic, (int)partitions->elems[i].partition);
        end();
}

static void say_error(const char *event, const char *text) {
        begin(event);
        printf("%s", text);
        end();
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *partitions, void *opaque) {
        int cooperative = !strcmp(rd_kafka_rebalance_protocol(rk), "COOPERATIVE");
        (void)opaque;
        if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
                say_partitions("assigned", partitions);
                if (cooperative)
                        rd_kafka_error_destroy(rd_kafka_incremental_assign(rk, partitions));
                else
                        rd_kafka_assign(rk, partitions);
        } else {
                say_partitions(rd_kafka_assignment_lost(rk) ? "lost" : "revoked", partitions);
                if (cooperative)
                        rd_kafka_error_destroy(rd_kafka_incremental_unassign(rk, partitions));
                else
                        rd_kafka_assign(rk, NULL);
        }
}

static void commit(rd_kafka_t *rk, const rd_kafka_message_t *message) {
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
        const char *topic                     = rd_kafka_topic_name(message->rkt);
        rd_kafka_topic_partition_list_add(list, topic, message->partition)->offset = message->offset + 1;
        rd_kafka_resp_err_t err = rd_kafka_commit(rk, list, 0);
        if (err) {
                say_error("uncommitted", rd_kafka_err2name(err));
        } else {
                begin("committed");
                printf("%s:%d\t%lld", topic, (int)message->partition, (long long)message->offset + 1);
                end();
        }
        rd_kafka_topic_partition_list_destroy(list);
}

int main(int argc, char **argv) {
        char why[512];
        name                  = argv[1];
        rd_kafka_conf_t *conf = rd_kafka_conf_new();
        rd_kafka_conf_set(conf, "client.id", name, why, sizeof(why));
        rd_kafka_conf_set(conf, "enable.auto.commit", "false", why, sizeof(why));
        rd_kafka_conf_set(conf, "auto.offset.reset", "earliest", why, sizeof(why));
        for (int i = 3; i < argc; i++) {
                char *value = strchr(argv[i], '=');
                *value++    = 0;
                if (rd_kafka_conf_set(conf, argv[i], value, why, sizeof(why)) != RD_KAFKA_CONF_OK) {
                        say_error("error", why);
                        return 2;
                }
        }
        rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
        signal(SIGTERM, on_signal);
        rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
        if (!rk) {
                say_error("error", why);
                return 2;
        }
        rd_kafka_poll_set_consumer(rk);
        rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(topics, argv[2], RD_KAFKA_PARTITION_UA);
        rd_kafka_subscribe(rk, topics);
        rd_kafka_topic_partition_list_destroy(topics);
        struct pollfd input = {.fd = 0, .events = POLLIN};
        while (!stopped) {
                rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 100);
                if (message && message->err) {
                        say_error("error", rd_kafka_message_errstr(message));
                } else if (message) {
                        begin("record");
                        printf("%s:%d\t%lld\t%.*s", rd_kafka_topic_name(message->rkt), (int)message->partition, (long long)message->offset,
                               (int)message->len, (const char *)message->payload);
                        end();
                        commit(rk, message);
                }
                if (message)
                        rd_kafka_message_destroy(message);
                if (poll(&input, 1, 0) > 0)
                        stopped = 1;
        }
        rd_kafka_consumer_close(rk);
        rd_kafka_destroy(rk);
        say_error("closed", "");
        return 0;
}
