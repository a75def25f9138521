/* Inside of a fleet: for sim/fleet*.c only. */
#ifndef SIM_FLEET_PRIV_H
#define SIM_FLEET_PRIV_H

#include <sys/queue.h>

#define HASH_NONFATAL_OOM      1
#define uthash_nonfatal_oom(e) ((e)->lost = true)
#include <uthash.h>

#include "core/fault.h"
#include "core/heap.h"
#include "core/quic.h"
#include "sim/device.h"
#include "sim/fleet.h"
#include "sim/storage_mem.h"

#define FLEET_SMS_KEPT 8 /* for a device that is off */

struct waiting_sms {
	STAILQ_ENTRY(waiting_sms) next;
	char *from, *text; /* text: may hold a code */
};

struct fleet_device {
	struct fleet *fleet;
	struct device *dev;
	struct secret_source *secret; /* borrowed; NULL: the fleet's */
	unsigned index;
	unsigned boots;	       /* what was noted before a power cut is not for the device after it */
	enum state_name shown; /* as the journal has it */
	bool lost;	       /* the uuid hash had no memory */
	bool cut, drop;	       /* a fault fired where it could not act at once */
	bool quiet;	       /* the store broke within this step: the rest of it is not done */
	struct heap_node timer;
	time_ns power_on_at;	   /* while OFF: a power cycle's end; TIME_NEVER */
	time_ns next_on;	   /* no power again before that, whoever switches it on */
	time_ns off_for;	   /* with `cut`: power_cycle's length; TIME_NEVER: stays off */
	struct quic_conn *conn;	   /* NULL: none; quic's until `closed` */
	struct quic_conn *closing; /* told to close, CONNECTION_CLOSE not yet written; NULL */
	uint64_t stale;		   /* a request that is not waited for any more; 0: none */
	uint64_t sent, received;   /* datagrams since the last net.count */
	struct storage *storage;   /* borrowed, or own's */
	struct storage_mem *own;
	int unsynced;	    /* with `cut`: what is left of it (core/disk.h); -1: as the seed has it */
	time_ns disk_until; /* own's trouble ends then; TIME_NEVER: no end */
	int64_t clock_ms;   /* its wall clock stands that much aside */
	STAILQ_HEAD(, waiting_sms) sms;
	unsigned sms_n;
	UT_hash_handle hh;
};

enum note_kind { NOTE_REPLY, NOTE_LINK_LOST, NOTE_FAULT };

/* What a QUIC callback left for the turn, where there is a sink. */
struct note {
	STAILQ_ENTRY(note) next;
	enum note_kind kind;
	struct fleet_device *fd;
	unsigned boots;
	uint64_t id;
	const char *status;
	struct msg_response response; /* NOTE_REPLY */
};

struct fleet {
	struct fleet_config cfg;
	bool port_each;
	struct addr local, server;
	char *server_name, *alpn;
	struct device_shared shared;
	struct quic_credentials *credentials;
	struct quic_endpoint *quic;
	struct fleet_device **devices;
	unsigned n, cap;
	struct fleet_device *by_uuid; /* hash */
	unsigned in_state[STATE_COUNT];
	struct heap timers;
	STAILQ_HEAD(, note) notes;
	struct device_effects fx;
	struct buf file;
	struct instant at;	 /* of the present call */
	struct dgram_sink *sink; /* of the present turn, counting; NULL outside of one */
	bool blocked, dirty;
};

/* ---- fleet.c ---- */
/* One step and its effects, faults and all. */
void fleet_step(struct fleet *f, struct fleet_device *fd, const struct device_event *ev);
void fleet_power_cut(struct fleet *f, struct fleet_device *fd);

/* ---- fleet_lab.c ---- */
/* Writes an event of this device; a fault that fires is noted in `cut` and `drop`, or acts. */
void fleet_fault(struct fleet_device *fd, const struct fault *fault);
/* A trouble of its disk whose time is over is gone before anything is written. */
void fleet_heal_disk(struct fleet_device *fd);

/* ---- fleet_net.c ---- */
int fleet_net_open(struct fleet *f, struct err *e);
void fleet_request(struct fleet *f, struct fleet_device *fd, uint64_t id, const void *data, size_t len);
void fleet_timed_out(struct fleet_device *fd, uint64_t id);
void fleet_close(struct fleet *f, struct fleet_device *fd, bool at_once);
void fleet_abandon(struct fleet *f, struct fleet_device *fd);
void fleet_count_one(struct fleet *f, struct fleet_device *fd);
struct note *fleet_note(struct fleet_device *fd, enum note_kind kind);
void fleet_note_free(struct note *n);

/* A sink that counts for the owner and passes on. */
struct fleet_sink {
	struct dgram_sink base;
	struct dgram_sink *real;
};
void fleet_sink_init(struct fleet_sink *s, struct dgram_sink *real);

#endif
