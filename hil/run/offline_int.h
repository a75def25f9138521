/* What offline.c (the walk and the comparison) and offline_input.c (inputs made from
 * what was recorded) share. */
#ifndef HIL_RUN_OFFLINE_INT_H
#define HIL_RUN_OFFLINE_INT_H

#include <uthash.h>

#include "hil/run/offline.h"
#include "hil/run/plan.h"
#include "sim/device.h"
#include "sim/storage_mem.h"

#define OFFLINE_CODES_MAX 256 /* codes of one device that are told apart */
#define OFFLINE_INPUT_MAX 200 /* words for people */
#define OFFLINE_SENDER	  "+34600000001"

/* An owned list of borrowed events. */
struct event_list {
	const struct journal_event **v;
	size_t n, cap;
};

/* The events of one device in the recording. */
struct lane {
	char uuid[UUID_LEN + 1];
	struct event_list told; /* by the machine itself */
	struct event_list disk; /* offline_of_the_disk */
	UT_hash_handle hh;
};

struct offline {
	json_t *plan_json;
	const struct tape *tape;
	struct offline_options opt;
	struct plan *plan;
	time_ns zero, end;
	unsigned next; /* of the plan's devices, the one that comes next if they come in order */
	struct lane *lanes; /* hash by uuid */
	/* the replay's own keys: RSA is dear, so one set for all devices */
	char *private_pem, *public_pem, kid[KID_MAX + 1];
	struct token_signer *signer;
	struct device_shared shared;
	uint8_t run_key[32];
};

/* One device on its way through its recording. */
struct life {
	struct offline *o;
	const struct lane *lane;
	size_t i; /* the next recorded event */
	struct device *dev;
	struct registry_device identity;
	struct device_effects fx;
	struct storage_mem *disk;
	struct buf file;
	struct instant at;
	int64_t wall_ms; /* of the wall clock at journal time 0 */
	char nonce[NONCE_LEN + 1];
	bool accept_unsigned;

	/* the input under way */
	struct device_event in;
	struct msg_response response;
	char text[256], words[OFFLINE_INPUT_MAX];

	/* recorded fingerprints of codes; the k-th has the k-th made-up code */
	char codes[OFFLINE_CODES_MAX][20];
	unsigned codes_n, made, commands;
	struct offline_result *out;
};

/* Fills l->in from the next recorded event; the event itself is consumed by the comparison
 * of what the device makes of it. 0; ERR_NOTFOUND: nothing that a device is handed leads to
 * such an event; ERR_NOMEM. offline_input_fini behind each. */
int offline_input(struct life *l);
void offline_input_fini(struct life *l);
/* The recorded fingerprint for one of the made-up codes; "" where it is none of them. */
const char *offline_code_recorded(const struct life *l, const char *fp_now);
/* Does it say something of what a device's disk went through? */
bool offline_of_the_disk(const struct journal_event *ev);
/* What is stored at this instant fails, as it did. */
bool offline_store_fails(const struct life *l);
/* What the power cut of this instant left of what was not synced: for storage_mem_power_fails. */
int offline_unsynced(const struct life *l);
/* "sms" of "AC.sms" */
const char *offline_row_event(const struct journal_event *ev);

#endif
