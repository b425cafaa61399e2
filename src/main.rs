fn main() {
    tracing_subscriber::fmt::init();
    let mut values = std::collections::BTreeMap::new();
    for a in std::env::args().skip(1) {
        if let Some((k, v)) = a.split_once('=') {
            values.insert(k.to_string(), v.to_string());
        }
    }
    let rt = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("rt");
    rt.block_on(async {
        let node = klamm::node::Node::start(klamm::config::BrokerConfig::new(values).expect("config")).await;
        let node = match node {
            Ok(n) => n,
            Err(e) => {
                eprintln!("{e}");
                std::process::exit(1)
            }
        };
        println!("listening {:?}", node.addresses());
        tokio::signal::ctrl_c().await.expect("signal");
        node.stop().await;
    });
}
