//! Pages, and which of them hold nothing but zeros.

/// Bytes of a page.
pub(crate) const PAGE: u64 = maize_abi::layout::PAGE_SIZE;

/// The pages at the start of these that are all zeros, or of which none is.
pub(crate) fn same(pages: &[u8]) -> (bool, &[u8]) {
    // In pieces, each of which is one comparison of wide registers.
    let is_zero = |page: &[u8]| page.chunks(64).all(|piece| piece.iter().fold(0, |all, byte| all | byte) == 0);
    let mut each = pages.chunks(PAGE as usize).map(is_zero);
    let first = each.next().unwrap_or(false);
    let count = 1 + each.take_while(|&other| other == first).count();
    (first, &pages[..pages.len().min(count * PAGE as usize)])
}
