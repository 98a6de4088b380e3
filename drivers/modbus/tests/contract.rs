//! What every driver must do, done by this one.

use millstream_driver::contract::Subject;
use millstream_driver::driver_contract;
use millstream_modbus::Modbus;
use std::net::SocketAddr;
use std::sync::Arc;

fn connection(address: SocketAddr) -> String {
    format!("modbus-tcp://{address}?request-timeout=300&unit-identifier=1")
}

fn subject() -> Subject {
    Subject {
        driver: Arc::new(Modbus),
        connection,
        numbers: [
            "holding-register:1:INT",
            "holding-register:2:REAL",
            "holding-register:300:UDINT",
            "holding-register:4000:LREAL",
        ],
        absent: "holding-register:9000:INT",
        wrong: "holding-register:one",
    }
}

driver_contract!(modbus, subject());
