//! What the end-to-end tests share: peers that run beside us, and the oracles that judge a fault test.
//!
//! What it is: [`oracle`] (one checker for every fault of every part), [`peer`] (processes and ports that a test owns),
//! [`rogue`] (a Modbus machine that goes wrong by rule), [`rooms`] (the real rooms wired up inside the test),
//! [`simulated`] (a Modbus machine for processes), [`running`] (`millstream run` on a folder, and its topics), [`broker`] (a broker, ours or Apache Kafka),
//! [`wiretap`] (what passed on a wire, for another's decoder).
//! What it is not: it is not shipped, and it mocks nothing.
//!
//! Three types to know: [`oracle::Ledger`] (what was acknowledged), [`oracle::Verdict`] (what was found wrong),
//! [`peer::Process`] (a child that is ended by its id when the test ends).
//!
//! Data enters as what a producer was promised and what a reader found, and leaves as violations in words.

pub mod broker;
pub mod oracle;
pub mod peer;
pub mod rogue;
pub mod rooms;
pub mod running;
pub mod simulated;
pub mod wiretap;
