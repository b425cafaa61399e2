"""What the compatibility runs share: brokers as child processes, Kafka's jars, Kafka's tools, a report."""
