//! The contract suite over the engine in memory.

use millstream_bus::memory::MemoryBus;

millstream_bus::bus_contract!(memory, async { MemoryBus::new() });
