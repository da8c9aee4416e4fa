/*
 * The compiled-in cost tables, as text (costs.c describes the form).
 *
 *   server          a current two-socket server at about 3 GHz with a fast NVMe disk
 *   emulated-guest  the machines on which the recordings of real kernels were made:
 *                   QEMU's instruction emulation, roughly a tenth of native speed,
 *                   with disks that are page cache of the host
 *
 * The files costs/server.txt and costs/emulated-guest.txt say the same, with the
 * origin of each number; a test compares them entry by entry. Change both.
 *
 * What must never happen: a table that differs from its file, since a user who
 * copies the file and changes one number expects all others to stay.
 */
#include <string.h>

#include "api/costs.h"

static const char table_server[] = "accesses 5\n"
				   "ticks_256 80\n"
				   "pgfault 350\n"
				   "pgmajfault 1500\n"
				   "ptes_walked 20\n"
				   "pages_zeroed 130\n"
				   "fresh_blocks 0\n"
				   "pages_copied 260\n"
				   "pgalloc_dma 40\n"
				   "pgalloc_dma32 40\n"
				   "pgalloc_normal 40\n"
				   "pgalloc_movable 40\n"
				   "pgfree 40\n"
				   "slow_allocations 600\n"
				   "node_passes 450\n"
				   "pgscan_kswapd 90\n"
				   "pgscan_direct 90\n"
				   "pgsteal_kswapd 120\n"
				   "pgsteal_direct 120\n"
				   "pgrefill 60\n"
				   "pgactivate 25\n"
				   "pgdeactivate 25\n"
				   "pgrotated 40\n"
				   "list_rejects 15\n"
				   "compact_looks 3\n"
				   "compact_isolated 60\n"
				   "pgmigrate_success 650\n"
				   "first_migrations 0\n"
				   "flush_completions 250\n"
				   "read_completions 250\n"
				   "pswpout 250\n"
				   "tlb_flushes 500\n"
				   "tlb_answers 500\n"
				   "tlb_shootdowns 2000\n"
				   "pswpin 300\n"
				   "syscall_pages 350\n"
				   "advice_calls 400\n"
				   "io_submits 900\n"
				   "io_completions 250\n"
				   "context_switches 1500\n"
				   "quantum_ns 20000\n"
				   "slice_ns 4000000\n"
				   "wake_latency_ns 5000\n"
				   "swap.latency_ns 85000\n"
				   "swap.depth 64\n"
				   "swap.jitter_permille 100\n"
				   "swap.bytes_per_s 2500000000\n"
				   "swap.rotational 0\n"
				   "disk.latency_ns 85000\n"
				   "disk.depth 64\n"
				   "disk.jitter_permille 100\n"
				   "disk.bytes_per_s 2500000000\n"
				   "disk.rotational 0\n";

static const char table_emulated_guest[] = "accesses 40\n"
					   "ticks_256 1200\n"
					   "pgfault 4700\n"
					   "pgmajfault 15000\n"
					   "ptes_walked 250\n"
					   "pages_zeroed 1500\n"
					   "fresh_blocks 3600000\n"
					   "pages_copied 3000\n"
					   "pgalloc_dma 500\n"
					   "pgalloc_dma32 500\n"
					   "pgalloc_normal 500\n"
					   "pgalloc_movable 500\n"
					   "pgfree 500\n"
					   "slow_allocations 7000\n"
					   "node_passes 6700\n"
					   "pgscan_kswapd 1650\n"
					   "pgscan_direct 1650\n"
					   "pgsteal_kswapd 3000\n"
					   "pgsteal_direct 3000\n"
					   "pgrefill 800\n"
					   "pgactivate 300\n"
					   "pgdeactivate 300\n"
					   "pgrotated 500\n"
					   "list_rejects 200\n"
					   "compact_looks 50\n"
					   "compact_isolated 400\n"
					   "pgmigrate_success 8200\n"
					   "first_migrations 1900000\n"
					   "file_pages_added 3500\n"
					   "file_pages_dirtied 2500\n"
					   "file_pages_flushed 5500\n"
					   "flush_completions 2600\n"
					   "read_completions 400\n"
					   "pswpout 7900\n"
					   "tlb_flushes 30000\n"
					   "tlb_answers 20100\n"
					   "tlb_shootdowns 12200\n"
					   "pswpin 12500\n"
					   "syscall_pages 3500\n"
					   "advice_calls 4600\n"
					   "io_submits 36000\n"
					   "io_completions 4000\n"
					   "context_switches 20000\n"
					   "quantum_ns 20000\n"
					   "slice_ns 4000000\n"
					   "wake_latency_ns 30000\n"
					   "host.round_ns 6900000\n"
					   "host.balance_ns 128000000\n"
					   "host.processors 2\n"
					   "host.stay_ns 2000000000\n"
					   "host.together_ns 450000000\n"
					   "host.apart_ns 170000000\n"
					   "host.others 3\n"
					   "swap.latency_ns 55000\n"
					   "swap.depth 4\n"
					   "swap.jitter_permille 200\n"
					   "swap.bytes_per_s 2500000000\n"
					   "swap.written_host_ns 9400\n"
					   "swap.rotational 1\n"
					   "disk.latency_ns 55000\n"
					   "disk.depth 4\n"
					   "disk.jitter_permille 200\n"
					   "disk.bytes_per_s 2500000000\n"
					   "disk.rotational 1\n";

const char *costs_builtin(const char *name)
{
	if (strcmp(name, "server") == 0)
		return table_server;
	if (strcmp(name, "emulated-guest") == 0)
		return table_emulated_guest;
	return NULL;
}
