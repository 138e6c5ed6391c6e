//! Messages between a host process (the runtime in a running program) and the node that started it.
//! docs/protocol.md gives them byte by byte.
