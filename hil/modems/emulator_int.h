/* Inside the emulator's process: configuration, modems, control. */
#ifndef HIL_MODEMS_EMULATOR_INT_H
#define HIL_MODEMS_EMULATOR_INT_H

#include <jansson.h>
#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/fault.h"
#include "core/journal.h"
#include "hil/modems/modem_core.h"
#include "hil/modems/pty.h"

#define EMULATOR_MODEMS_MAX  GSM_SUBSCRIBERS_MAX
#define EMULATOR_CLIENTS_MAX 8
#define EMULATOR_LINE_MAX    (256 << 10) /* one control message: a fault names its devices, thousands */

/* What one modem of the file says; texts are owned by `json` or constant. */
struct emulator_spec {
	char name[32];
	char number[20];
	char imei[16];
	const char *imsi, *pin;
	const struct modem_personality *personality;
	unsigned storage;
	time_ns quiet_ns;
};

struct emulator_config {
	json_t *json; /* owned; what the specs borrow from */
	uint64_t seed;
	enum gsm_profile profile;
	const char *control;  /* path; NULL: none */
	const char *link_dir; /* NULL: none */
	int journal_fd;	      /* -1: none */
	bool keyed;
	uint8_t run_key[32];
	unsigned count;
	struct emulator_spec modems[EMULATOR_MODEMS_MAX];
};

/* Reads the command line and the file. 0, 1 where only help was asked for, or ERR_*. */
int emulator_configure(struct emulator_config *config, int argc, char **argv, struct err *e);
void emulator_config_fini(struct emulator_config *config);
/* A configuration's JSON, as the file has it. `source` names it in errors. */
int emulator_read_modems(struct emulator_config *config, json_t *json, const char *source, struct err *e);
int emulator_count_modems(struct emulator_config *config, unsigned count, struct err *e);

struct emulator;

struct emulated {
	struct emulator *emulator;
	const struct emulator_spec *spec;
	unsigned id; /* the carrier's subscriber, and the index */
	struct modem_core *core;
	struct pty pty;
	char owner[37]; /* uuid of the device whose SMS it is getting; "": of none */
	bool plugged;
	bool unplug;	 /* wanted by a fault; done when the modem is at rest */
	time_ns plug_at; /* 0: not by itself */
};

struct client {
	int fd; /* -1: free */
	struct buf in, out;
};

struct emulator {
	struct emulator_config config;
	struct gsm_carrier *carrier;
	struct faults *faults;
	struct journal *journal;
	struct emulated modems[EMULATOR_MODEMS_MAX];
	unsigned count;
	int listener; /* -1: none */
	struct client clients[EMULATOR_CLIENTS_MAX];
	int64_t epoch_unix_s;
	time_ns now;
	bool quit;
};

int emulator_plug(struct emulated *m, struct err *e);
void emulator_unplug(struct emulated *m, const char *why);

/* The control socket. */
int emulator_control_open(struct emulator *em, struct err *e);
void emulator_control_close(struct emulator *em);
void emulator_control_accept(struct emulator *em);
/* Reads, runs what is complete, writes; drops a client that is gone. */
void emulator_control_serve(struct emulator *em, struct client *c);

#endif
