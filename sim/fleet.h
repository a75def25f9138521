/* A fleet of simulated devices on one UDP address and one QUIC client endpoint:
 * device state machines (sim/device.h), their durable storage, their connections.
 * No I/O: a world hands in datagrams and SMS and ends each loop turn. Nothing here
 * costs in proportion to the fleet on any event. */
#ifndef SIM_FLEET_H
#define SIM_FLEET_H

#include <stdbool.h>

#include "core/disk.h"
#include "core/err.h"
#include "core/journal.h"
#include "core/pki.h"
#include "core/registry.h"
#include "core/rows.h"
#include "core/settings.h"
#include "core/world.h"

struct fleet_config {
	const char *cert, *key;          /* fleet certificate, PEM */
	const char *server_ca;
	const char *server_name;         /* what the server's certificate must bear */
	const char *const *server_keys;  /* pinned token keys, SPKI PEM, NULL-terminated */
	const char *alpn;                /* NULL: the default */
	struct addr local, server;
	bool port_each; /* device i speaks from local's port + i, so that a network can tell devices apart */
	struct settings settings;        /* the devices' part */
	uint64_t seed;
	const uint8_t *run_key;          /* 32 bytes */
	struct secret_source *secret;
	struct journal *journal;
	/* A state was entered or re-entered (rows that stay included); may be NULL. */
	void (*changed)(void *ctx, unsigned index, enum state_name from, enum state_name to);
	void *ctx;
};

struct fleet_device_config {
	const char *label;               /* A[3]; copied */
	struct registry_device identity; /* as the device believes it to be */
	const char *methods[REGISTRY_METHODS + 1]; /* what it offers, NULL-terminated */
	bool hold;                       /* connection: hold */
	bool accept_unsigned;
	unsigned defects;                /* DEFECT() bits of core/defect.h */
	bool any_registration;           /* takes an SMS that names no registration: foreign servers' texts */
	const char *const *senders;      /* numbers and names that codes may come from, NULL-terminated,
					    borrowed; NULL: any */
	struct secret_source *secret;    /* its nonces, registrations, connection IDs; borrowed; NULL: the fleet's */
	struct storage *storage;         /* borrowed; its files are named "<uuid>.…"; NULL: the fleet's own
					    memory, which keeps what was synced over a power cut, and loses,
					    keeps or tears the rest by the seed */
};

struct fleet;
struct fleet *fleet_new(const struct fleet_config *cfg, struct err *e);
void fleet_free(struct fleet *f);
/* Index from 0, in order; negative ERR_*. The device is OFF. */
int fleet_add(struct fleet *f, const struct fleet_device_config *d, struct err *e);
unsigned fleet_count(const struct fleet *f);

void fleet_power_on(struct fleet *f, const struct instant *at, unsigned index);
/* Power cut: not a byte leaves, unsynced storage is lost or kept as the storage says. */
void fleet_power_off(struct fleet *f, const struct instant *at, unsigned index);
void fleet_drop_connection(struct fleet *f, const struct instant *at, unsigned index);
/* Its own disk fails so for `length` (TIME_NEVER: until it is told otherwise). A device whose
 * storage is borrowed has nothing that could fail on purpose: ERR_UNSUPPORTED. */
int fleet_disk(struct fleet *f, const struct instant *at, unsigned index, enum disk_trouble t, time_ns length);
/* Its wall clock steps by so much; the power's going does not bring it back. */
void fleet_clock_step(struct fleet *f, unsigned index, int64_t by_ms);

/* An SMS for the device `uuid`; kept for a device that is OFF and handed over at power
 * on (the last 8). Unknown uuid: ERR_NOTFOUND. */
int fleet_sms(struct fleet *f, const struct instant *at, const char *uuid, const char *from, const char *text);
/* A code that came by another way than SMS; taken as an SMS that fits is. */
void fleet_code(struct fleet *f, const struct instant *at, unsigned index, const char *code);
void fleet_datagram(struct fleet *f, const struct instant *at, const struct addr *local,
		    const struct addr *remote, unsigned ecn, const uint8_t *data, size_t len);
time_ns fleet_deadline(const struct fleet *f);
void fleet_turn(struct fleet *f, const struct instant *at, struct dgram_sink *sink);

enum state_name fleet_state(const struct fleet *f, unsigned index);
unsigned fleet_in_state(const struct fleet *f, enum state_name s); /* counted, O(1) */
const char *fleet_uuid(const struct fleet *f, unsigned index);
int fleet_find(const struct fleet *f, const char *uuid); /* index or ERR_NOTFOUND */
/* Writes net.count for every device that has one pending (a scenario's end). */
void fleet_counts(struct fleet *f, const struct instant *at);
/* In debt to the sink: true while the last turn could not write everything. */
bool fleet_blocked(const struct fleet *f);

#endif
