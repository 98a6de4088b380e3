//! What every driver must do, for Modbus.

use millstream_driver::contract::Subject;
use millstream_driver::driver_contract;
use millstream_modbus::Modbus;
use std::net::SocketAddr;
use std::sync::Arc;

fn subject(connection: fn(SocketAddr) -> String) -> Subject {
    Subject {
        driver: Arc::new(Modbus),
        connection,
        numbers: [
            "holding-register:1:UINT",
            "holding-register:2:DINT",
            "holding-register:40:REAL",
            "extended-register:7:INT",
        ],
        absent: "holding-register:9000:UINT",
        wrong: "holding-register:1:REEL",
    }
}

driver_contract!(one_in_flight, subject(|place| format!("modbus-tcp://{place}?request-timeout=300")));
driver_contract!(
    several_in_flight,
    subject(|place| format!("modbus-tcp://{place}?request-timeout=300&max-in-flight=4"))
);
