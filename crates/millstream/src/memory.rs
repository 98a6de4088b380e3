//! Memory: reading a large plant needs several times what keeping it needs, and the difference goes back to the system.

/// Gives back what the allocator keeps of memory that is free. Takes milliseconds: call it after a plant was read, not while
/// it runs. The GNU allocator shrinks only from its end by itself; others do it well enough.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn give_back() {
    #[expect(
        unsafe_code,
        reason = "a call into the C library that takes no pointer and touches free memory only"
    )]
    // SAFETY: malloc_trim(3) is thread-safe and has no preconditions.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Nothing to do here.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn give_back() {}
