//! What a plant says in `[kafka]`, as settings of the broker.

use crate::failure::Failure;
use millstream_broker::{
    Certificate, ClientAuthentication, EmbeddedConfig, ListenerConfig, Mechanism, Password, QuotaEntity,
    QuotaRule, Quotas, SecurityConfig, SecurityProtocol, TlsConfig, User, WireConfig, WireLimits,
};
use millstream_plant::{
    KafkaClientAuthentication, KafkaMechanism, KafkaProtocol, KafkaQuota, KafkaSettings, KafkaTls, Plant,
};

/// The settings of the protocol's side; `None` where the plant has no `[kafka]`.
pub(crate) fn wire(plant: &Plant) -> Result<Option<WireConfig>, Failure> {
    let Some(said) = &plant.kafka else { return Ok(None) };
    let tls = said.tls.as_ref().map(|tls| tls_config(tls, plant)).transpose()?;
    let listener = |listener: &millstream_plant::KafkaListener| ListenerConfig {
        listen: listener.listen,
        advertise: listener.advertise.clone(),
        protocol: protocol(listener.protocol),
        tls: tls.clone().filter(|_| listener.protocol.is_tls()),
    };
    let default = WireConfig::default();
    Ok(Some(WireConfig {
        listeners: said.listeners.iter().map(listener).collect(),
        security: security(said),
        auto_create_topics: said.auto_create_topics.unwrap_or(default.auto_create_topics),
        partitions: said.num_partitions.unwrap_or(default.partitions),
        limits: limits(said),
        quotas: Quotas { rules: said.quotas.iter().map(quota).collect() },
        ..default
    }))
}

fn protocol(said: KafkaProtocol) -> SecurityProtocol {
    match said {
        KafkaProtocol::Plaintext => SecurityProtocol::Plaintext,
        KafkaProtocol::Ssl => SecurityProtocol::Ssl,
        KafkaProtocol::SaslPlaintext => SecurityProtocol::SaslPlaintext,
        KafkaProtocol::SaslSsl => SecurityProtocol::SaslSsl,
    }
}

fn tls_config(said: &KafkaTls, plant: &Plant) -> Result<TlsConfig, Failure> {
    let certificate = match said.certificate.clone() {
        Some((certificate, key)) => Certificate::Files { certificate, key },
        None => Certificate::Own { directory: plant.log.data_dir.clone(), names: said.names.clone() },
    };
    let rules = said.principal_mapping.as_deref().map(str::parse).transpose();
    let rules = rules.map_err(|error| {
        Failure::mistake(format!("[kafka] principal_mapping: {error}"), "mend the rule in the plant folder")
    })?;
    Ok(TlsConfig {
        certificate,
        client_authentication: match said.client_authentication {
            KafkaClientAuthentication::None => ClientAuthentication::None,
            KafkaClientAuthentication::Requested => ClientAuthentication::Requested,
            KafkaClientAuthentication::Required => ClientAuthentication::Required,
        },
        client_authorities: said.client_authorities.clone(),
        principal_mapping: rules.unwrap_or_default(),
    })
}

fn security(said: &KafkaSettings) -> SecurityConfig {
    let default = SecurityConfig::default();
    let mechanism = |said: &KafkaMechanism| match said {
        KafkaMechanism::Plain => Mechanism::Plain,
        KafkaMechanism::ScramSha256 => Mechanism::ScramSha256,
        KafkaMechanism::ScramSha512 => Mechanism::ScramSha512,
    };
    let users = said.users.iter();
    let user = |user: &millstream_plant::KafkaUser| User {
        name: user.name.clone(),
        password: Password::new(user.password.clone()),
    };
    let mechanisms = said.sasl_mechanisms.as_ref().map(|said| said.iter().map(mechanism).collect());
    SecurityConfig {
        insecure: said.insecure,
        mechanisms: mechanisms.unwrap_or(default.mechanisms),
        users: users.map(user).collect(),
        super_users: said.super_users.clone(),
        allow_everyone_if_no_acl_found: said
            .allow_everyone_if_no_acl_found
            .unwrap_or(default.allow_everyone_if_no_acl_found),
        session_lifetime: said.session_lifetime.or(default.session_lifetime),
        ..SecurityConfig::default()
    }
}

fn limits(said: &KafkaSettings) -> WireLimits {
    let (said, default) = (&said.limits, WireLimits::default());
    WireLimits {
        request_bytes: said.request_bytes.unwrap_or(default.request_bytes),
        connections: said.connections.unwrap_or(default.connections),
        connections_per_ip: said.connections_per_ip.unwrap_or(default.connections_per_ip),
        idle: said.idle.unwrap_or(default.idle),
        request_memory_bytes: said.queued_request_bytes.unwrap_or(default.request_memory_bytes),
        ..default
    }
}

fn quota(said: &KafkaQuota) -> QuotaRule {
    let entity = |name: &String| match name.as_str() {
        "*" => QuotaEntity::Default,
        name => QuotaEntity::Named(name.to_owned()),
    };
    QuotaRule {
        user: said.user.as_ref().map(entity),
        client_id: said.client_id.as_ref().map(entity),
        produce_bytes_per_second: said.produce_bytes_per_second,
        fetch_bytes_per_second: said.fetch_bytes_per_second,
        requests_per_second: said.requests_per_second,
    }
}

/// The settings of groups, producers and transactions.
pub(crate) fn engine(plant: &Plant) -> EmbeddedConfig {
    let mut config = EmbeddedConfig::default();
    let Some(said) = plant.kafka.as_ref().map(|kafka| &kafka.groups) else { return config };
    let (groups, consumers, producers) =
        (&mut config.groups, &mut config.consumer_groups, &mut config.producers);
    if let Some(members) = said.members_max {
        (groups.members_max, consumers.members_max) = (members, members);
    }
    for (given, setting) in [
        (said.session_timeout_min, &mut groups.session_timeout_min),
        (said.session_timeout_max, &mut groups.session_timeout_max),
        (said.initial_rebalance_delay, &mut groups.initial_rebalance_delay),
        (said.offsets_retention, &mut groups.offsets_retention),
        (said.consumer_session_timeout, &mut consumers.session_timeout),
        (said.consumer_heartbeat_interval, &mut consumers.heartbeat_interval),
        (said.transaction_max_timeout, &mut producers.transaction_max_timeout),
        (said.transactional_id_expiration, &mut producers.transactional_id_expiration),
        (said.producer_id_expiration, &mut producers.producer_id_expiration),
    ] {
        if let Some(given) = given {
            *setting = given;
        }
    }
    config
}
