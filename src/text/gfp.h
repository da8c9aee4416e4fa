/*
 * Words for flags and enumerations, as Linux 6.1 prints them in traces and logs.
 */
#ifndef NEAP_TEXT_GFP_H
#define NEAP_TEXT_GFP_H

#include "base/base.h"

#define GFP_TEXT_BYTES 320u /* room for any combination of flags */

/*
 * Writes request flags as "GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO": largest
 * combinations first, then single flags, an unknown rest in hex; "none" for 0.
 * => bytes of the full text, without the NUL; cut at room - 1 and terminated if room > 0
 */
size_t gfp_flags_format(uint32_t gfp, char *buf, size_t room);
/* The way back; also takes numbers ("0xcc0"). => 0, or -EINVAL if a name is unknown */
MUST_CHECK int gfp_flags_parse(const char *text, uint32_t *gfp);

/* How reclaim is told from reclaim in mm_vmscan_lru_* events. */
#define RECLAIM_WB_ANON 0x01u
#define RECLAIM_WB_FILE 0x02u
#define RECLAIM_WB_SYNC 0x04u
#define RECLAIM_WB_ASYNC 0x08u
#define RECLAIM_WB_MIXED 0x10u

/* "RECLAIM_WB_ANON|RECLAIM_WB_ASYNC"; "RECLAIM_WB_NONE" for 0. => as gfp_flags_format() */
size_t reclaim_flags_format(uint32_t flags, char *buf, size_t room);

/* => "inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable"; "?" beyond */
const char *lru_list_name(uint64_t lru);

#endif
