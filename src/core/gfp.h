/*
 * Request flags and allocation flags, with Linux 6.1's values (spec 02, sections
 * 5 and 6), so that logs and traces read the same.
 */
#ifndef NEAP_CORE_GFP_H
#define NEAP_CORE_GFP_H

#define GFP_BIT_DMA 0x1u
#define GFP_BIT_HIGHMEM 0x2u
#define GFP_BIT_DMA32 0x4u
#define GFP_BIT_MOVABLE 0x8u
#define GFP_BIT_RECLAIMABLE 0x10u
#define GFP_BIT_HIGH 0x20u
#define GFP_BIT_IO 0x40u
#define GFP_BIT_FS 0x80u
#define GFP_BIT_ZERO 0x100u
#define GFP_BIT_ATOMIC 0x200u
#define GFP_BIT_DIRECT_RECLAIM 0x400u
#define GFP_BIT_KSWAPD_RECLAIM 0x800u
#define GFP_BIT_WRITE 0x1000u
#define GFP_BIT_NOWARN 0x2000u
#define GFP_BIT_RETRY_MAYFAIL 0x4000u
#define GFP_BIT_NOFAIL 0x8000u
#define GFP_BIT_NORETRY 0x10000u
#define GFP_BIT_MEMALLOC 0x20000u
#define GFP_BIT_COMP 0x40000u
#define GFP_BIT_NOMEMALLOC 0x80000u
#define GFP_BIT_HARDWALL 0x100000u
#define GFP_BIT_THISNODE 0x200000u
#define GFP_BIT_ACCOUNT 0x400000u
#define GFP_BIT_ZEROTAGS 0x800000u
/* Ours: nobody else gets a reference to the block (PAGE_OWNED). Linux has no such bit. */
#define GFP_BIT_OWNED 0x80000000u

#define GFP_BITS_RECLAIM (GFP_BIT_DIRECT_RECLAIM | GFP_BIT_KSWAPD_RECLAIM)
#define GFP_ATOMIC (GFP_BIT_HIGH | GFP_BIT_ATOMIC | GFP_BIT_KSWAPD_RECLAIM)
#define GFP_NOWAIT GFP_BIT_KSWAPD_RECLAIM
#define GFP_NOIO GFP_BITS_RECLAIM
#define GFP_NOFS (GFP_BITS_RECLAIM | GFP_BIT_IO)
#define GFP_KERNEL (GFP_BITS_RECLAIM | GFP_BIT_IO | GFP_BIT_FS)
#define GFP_KERNEL_ACCOUNT (GFP_KERNEL | GFP_BIT_ACCOUNT)
#define GFP_USER (GFP_KERNEL | GFP_BIT_HARDWALL)
#define GFP_HIGHUSER (GFP_USER | GFP_BIT_HIGHMEM)
#define GFP_HIGHUSER_MOVABLE (GFP_HIGHUSER | GFP_BIT_MOVABLE)

/* Allocation flags: the low two bits are the index of the mark. */
#define ALLOC_WMARK_MIN 0x0u
#define ALLOC_WMARK_LOW 0x1u
#define ALLOC_WMARK_HIGH 0x2u
#define ALLOC_WMARK_MASK 0x3u
#define ALLOC_NO_WATERMARKS 0x4u
#define ALLOC_OOM 0x8u
#define ALLOC_NON_BLOCK 0x10u	/* late 6.1.y; HARDER in 6.1.0 */
#define ALLOC_MIN_RESERVE 0x20u /* late 6.1.y; HIGH in 6.1.0 */
#define ALLOC_CPUSET 0x40u
#define ALLOC_CMA 0x80u
#define ALLOC_NOFRAGMENT 0x100u
#define ALLOC_HIGHATOMIC 0x200u
#define ALLOC_KSWAPD 0x800u

#define NEAP_COSTLY_ORDER 3u
#define NEAP_MAX_ORDER 10u /* largest order */
#define NEAP_PAGEBLOCK_ORDER 9u
#define NEAP_PAGEBLOCK_PAGES 512u
#define SWAP_CLUSTER_MAX 32u
#define MAX_RECLAIM_RETRIES 16u
#define DEF_PRIORITY 12

#endif
