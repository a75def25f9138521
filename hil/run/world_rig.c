#include "hil/run/world_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/fault.h"
#include "core/plant.h"
#include "core/rng.h"
#include "hil/run/links.h"
#include "hil/run/plan.h"
#include "hil/run/virtual_pki.h"
#include "server/server.h"
#include "server/store_vfs.h"
#include "sim/carrier.h"
#include "sim/fleet.h"
#include "sim/storage_mem.h"
#include "sim/virtual_rnd.h"
#include "sim/world_virtual.h"

#define LINK_DELAY  NS_PER_MS
#define ASK_AGAIN   NS_PER_S /* an operator whose line the server could not store */
#define VFS_NAME    "virtual"
#define SERVER_ADDR "127.0.0.1:20190"
#define FLEET_PORT  30000
#define FLEET_ADDR  "127.0.0.1:30000"
#define BOOT_ID	    "00000000-0000-4000-8000-000000000001"
#define NO_ACTOR    (-1)

struct vrig {
	json_t *json;
	struct world_virtual *world;
	struct journal *journal;
	struct faults *faults;
	struct faults *crashes; /* those with a crash point: every server asks the same set */
	struct plan *plan;
	struct fleet *fleet;
	struct carrier *carrier;
	struct server *server;
	struct storage_mem *disk; /* the server's */
	struct registry *registry;
	struct links links; /* of the devices; none: a perfect network */
	struct pki pki;
	uint8_t run_key[32];
	struct addr server_addr, fleet_addr;
	int plan_id, fleet_id, carrier_id, server_id;
	struct secret_source *sqlite; /* SQLite's randomness: one source, however often it is handed over */
	bool vfs, dying, wanted;
	bool armed; /* the scenario's faults are */
	json_t *owed; /* what the operator asked for while there was no server */
	bool again; /* a start was asked for before the server was gone */
	enum plan_end end;
	int error;
	struct err *e;
};

static struct instant now_of(struct vrig *r, int actor)
{
	return world_virtual_now(r->world, actor);
}

static void touch(struct vrig *r, int actor)
{
	if (actor != NO_ACTOR)
		world_virtual_touch(r->world, actor);
}

/* ---- the server ---- */

static int send_sms(void *ctx, const struct server_sms *sms)
{
	struct vrig *r = ctx;
	struct instant at = now_of(r, r->carrier_id);
	int rv = carrier_send(r->carrier, &at, sms->id, sms->uuid, sms->to, sms->text, sms->r);

	touch(r, r->carrier_id);
	return rv;
}

/* What ends in bad order leaves its disk as a power cut does: what was synced stands, the
 * rest is kept, lost or torn as seed and moment have it. */
static void free_server(struct vrig *r, const char *why, bool orderly)
{
	struct instant at = now_of(r, NO_ACTOR);

	if (!r->server)
		return;
	server_free(r->server);
	r->server = NULL;
	if (!orderly)
		storage_mem_power_fails(r->disk, plan_seed(r->plan), "server", at.now, -1);
	world_virtual_remove(r->world, r->server_id);
	r->server_id = NO_ACTOR;
	JOURNAL(r->journal, at.now, "server", NULL, NULL, NULL, J_SERVER_STATE, JS(STATE, "down"),
		JS(WHY, why));
}

static int start_server(struct vrig *r, struct err *e);

static void reap(void *ctx, const struct instant *at)
{
	struct vrig *r = ctx;
	bool again = r->again, orderly;

	if (!r->dying)
		return;
	r->dying = r->again = false;
	orderly = server_stopped(r->server);
	free_server(r, orderly ? "stopped" : "killed", orderly);
	if (r->wanted) {
		r->wanted = false;
		plan_server_died(r->plan, at);
		touch(r, r->plan_id);
	} else {
		plan_server_ended(r->plan);
	}
	if (again && start_server(r, r->e))
		r->error = ERR_INTERNAL;
}

/* Reached from within server_turn: the server ends behind it, and does nothing more. */
static void die(void *ctx, const char *where)
{
	struct vrig *r = ctx;

	(void)where;
	r->dying = true;
	world_virtual_at(r->world, now_of(r, NO_ACTOR).now, reap, r);
}

static void server_in(void *ctx, const struct instant *at, const struct addr *local,
		      const struct addr *remote, unsigned ecn, const uint8_t *data, size_t len)
{
	struct vrig *r = ctx;

	if (!r->dying)
		server_datagram(r->server, at, local, remote, ecn, data, len);
}

static void server_end_turn(void *ctx, const struct instant *at, struct dgram_sink *sink)
{
	struct vrig *r = ctx;

	if (r->dying)
		return;
	store_vfs_world(VFS_NAME, r->sqlite, at->unix_ms);
	if (server_turn(r->server, at, sink))
		die(r, "store");
	if (server_stopped(r->server))
		die(r, "stopped");
}

static time_ns server_due(void *ctx)
{
	struct vrig *r = ctx;

	return r->dying ? TIME_NEVER : server_deadline(r->server);
}

static void operate(struct vrig *r, const struct instant *at, json_t *request);

/* What is owed to the server that is there. */
static void pay(void *ctx, const struct instant *at)
{
	struct vrig *r = ctx;
	json_t *owed = r->owed, *request;
	size_t i;

	if (!r->server || r->dying)
		return;
	r->owed = json_array();
	if (!r->owed)
		r->error = err_set(r->e, ERR_NOMEM, "out of memory");
	json_array_foreach(owed, i, request)
		operate(r, at, request);
	json_decref(owed);
}

static void operate(struct vrig *r, const struct instant *at, json_t *request)
{
	const char *error;
	struct buf reply;
	json_t *answer;
	bool retry;

	buf_init(&reply, 1 << 20);
	server_control(r->server, at, request, &reply);
	answer = reply.data ? json_loadb(reply.data, reply.len, 0, NULL) : NULL;
	error = json_string_value(json_object_get(answer, "error"));
	retry = json_is_true(json_object_get(answer, "retry"));
	/* an operator who is refused would let the scenario pass without what it is about; one
	 * whose server dies of it asks the next one, and a failing disk is asked until it works */
	if ((r->dying || retry) && plan_line_waits(request) && json_array_append(r->owed, request))
		r->error = err_set(r->e, ERR_NOMEM, "out of memory");
	else if (!r->dying && retry)
		world_virtual_at(r->world, time_add(at->now, ASK_AGAIN), pay, r);
	else if (!r->dying && (!answer || error))
		r->error = err_set(r->e, ERR_UNEXPECTED, "the server refused a control line: %s",
				   error ? error : "no answer");
	json_decref(answer);
	buf_fini(&reply);
	touch(r, r->server_id);
}

static int start_server(struct vrig *r, struct err *e)
{
	struct world_actor actor = {"server", server_in, server_end_turn, server_due, r};
	struct server_config sc = {.pki = &r->pki,
				   .registry = r->registry,
				   .settings = *plan_settings(r->plan),
				   .db = "server.db",
				   .vfs = VFS_NAME,
				   .boot_id = BOOT_ID,
				   .run_key = r->run_key,
				   .secret = world_virtual_secret(r->world, "server"),
				   .journal = r->journal,
				   .lab = true,
				   .crashes = r->crashes,
				   .clock_offset_ms = plan_server_clock(r->plan),
				   .seed = plan_seed(r->plan),
				   .world = {send_sms, die, r}};
	struct instant at = now_of(r, NO_ACTOR);

	store_vfs_world(VFS_NAME, r->sqlite, at.unix_ms);
	r->server = server_new(&sc, &at, e);
	if (!r->server)
		return e->code ? e->code : ERR_INTERNAL;
	r->server_id = world_virtual_add(r->world, &actor, &r->server_addr);
	if (r->server_id < 0)
		return err_set(e, ERR_LIMIT, "too many actors");
	r->wanted = true;
	if (r->armed && plan_arm_server_again(r->plan, &at, e))
		return e->code;
	server_gateway(r->server, &at, true);
	touch(r, r->server_id);
	pay(r, &at);
	return r->error;
}

/* ---- the carrier ---- */

static void sms_status(void *ctx, const struct instant *at, const char *id, enum carrier_status status,
		       int64_t eta_s, int cms, int ref)
{
	static const enum sms_status as[] = {[CARRIER_QUEUED] = SMS_QUEUED,
					     [CARRIER_BUSY] = SMS_BUSY,
					     [CARRIER_SUBMITTED] = SMS_SUBMITTED,
					     [CARRIER_FAILED] = SMS_FAILED,
					     [CARRIER_UNKNOWN] = SMS_UNKNOWN};
	struct vrig *r = ctx;

	if (!r->server || r->dying)
		return;
	server_sms_status(r->server, at, id, as[status], eta_s, cms, ref);
	touch(r, r->server_id);
}

static void sms_deliver(void *ctx, const struct instant *at, const char *uuid, const char *from,
			const char *text)
{
	struct vrig *r = ctx;

	fleet_sms(r->fleet, at, uuid, from, text);
	touch(r, r->fleet_id);
}

/* ---- what the plan asks for ---- */

static void rig_power(void *ctx, const struct instant *at, unsigned index, bool on)
{
	struct vrig *r = ctx;

	if (on)
		fleet_power_on(r->fleet, at, index);
	else
		fleet_power_off(r->fleet, at, index);
	touch(r, r->fleet_id);
}

static void rig_drop(void *ctx, const struct instant *at, unsigned index)
{
	struct vrig *r = ctx;

	fleet_drop_connection(r->fleet, at, index);
	touch(r, r->fleet_id);
}

static void rig_net(void *ctx, const struct instant *at, unsigned index, const struct plan_net *what)
{
	struct vrig *r = ctx;

	links_act(&r->links, r->journal, at->now, index, what);
}

static void rig_disk(void *ctx, const struct instant *at, unsigned index, enum disk_trouble t, time_ns length)
{
	fleet_disk(((struct vrig *)ctx)->fleet, at, index, t, length);
}

static void rig_clock(void *ctx, const struct instant *at, unsigned index, int64_t by_ms)
{
	(void)at;
	fleet_clock_step(((struct vrig *)ctx)->fleet, index, by_ms);
}

static void rig_server(void *ctx, const struct instant *at, enum plan_server_do what)
{
	struct vrig *r = ctx;

	if (what == PLAN_SERVER_START) {
		if (r->server)
			r->again = r->dying || !r->wanted || plan_server_doomed(r->plan);
		else if (start_server(r, r->e))
			r->error = ERR_INTERNAL;
		return;
	}
	r->wanted = r->again = false;
	if (what == PLAN_SERVER_KILL) {
		r->dying = false;
		free_server(r, "killed", false);
		plan_server_ended(r->plan);
	} else if (r->server) {
		server_stop(r->server, at);
		touch(r, r->server_id);
	}
}

/* An operator whose server is down tries until it is up. */
static void rig_operate(void *ctx, const struct instant *at, json_t *request)
{
	struct vrig *r = ctx;

	if (strcmp(json_string_value(json_object_get(request, "do")), "rotate-key") == 0)
		json_object_set_new(request, "key", json_string(virtual_next_token_key()));
	if (r->server && !r->dying)
		operate(r, at, request);
	else if (plan_line_waits(request) && json_array_append(r->owed, request))
		r->error = err_set(r->e, ERR_NOMEM, "out of memory");
}

static void rig_modem(void *ctx, const struct instant *at, const char *modem, const char *what, json_t *args)
{
	struct vrig *r = ctx;

	if (carrier_modem(r->carrier, at, modem, what, args))
		r->error = err_set(r->e, ERR_UNSUPPORTED, "'%s' cannot befall a modem '%s'", what, modem);
	touch(r, r->carrier_id);
}

/* One process, one journal: whatever writes the event, the same set is asked. The server's
 * are armed anew with each server, as a process of its own would have to have it. */
static int rig_arm(void *ctx, enum plan_actor where, json_t *spec, struct err *e)
{
	struct vrig *r = ctx;

	struct faults *set = json_object_get(spec, "at") ? r->crashes : r->faults;

	if (where == PLAN_SERVER)
		faults_disarm(set, json_string_value(json_object_get(spec, "name"))); /* the last server's */
	return faults_arm(set, spec, e);
}

/* ---- the fleet ---- */

static void changed(void *ctx, unsigned index, enum state_name from, enum state_name to)
{
	struct vrig *r = ctx;
	struct instant at = now_of(r, NO_ACTOR);

	(void)from;
	plan_state_changed(r->plan, &at, index, to);
	touch(r, r->plan_id);
}

static void fleet_in(void *ctx, const struct instant *at, const struct addr *local, const struct addr *remote,
		     unsigned ecn, const uint8_t *data, size_t len)
{
	fleet_datagram(((struct vrig *)ctx)->fleet, at, local, remote, ecn, data, len);
}

static void fleet_end_turn(void *ctx, const struct instant *at, struct dgram_sink *sink)
{
	fleet_turn(((struct vrig *)ctx)->fleet, at, sink);
}

static time_ns fleet_due(void *ctx)
{
	return fleet_deadline(((struct vrig *)ctx)->fleet);
}

static void carrier_end_turn(void *ctx, const struct instant *at, struct dgram_sink *sink)
{
	(void)sink;
	carrier_turn(((struct vrig *)ctx)->carrier, at);
}

static time_ns carrier_due(void *ctx)
{
	return carrier_deadline(((struct vrig *)ctx)->carrier);
}

static void plan_end_turn(void *ctx, const struct instant *at, struct dgram_sink *sink)
{
	struct vrig *r = ctx;

	(void)sink;
	r->end = plan_expire(r->plan, at);
}

static time_ns plan_due(void *ctx)
{
	return plan_deadline(((struct vrig *)ctx)->plan);
}

static int add_devices(struct vrig *r, struct err *e)
{
	for (unsigned i = 0; i < plan_count(r->plan); i++) {
		const struct plan_device *d = plan_device(r->plan, i);
		struct fleet_device_config dc = {.label = d->label,
						 .identity = d->identity,
						 .hold = d->hold,
						 .accept_unsigned = d->accept_unsigned,
						 .defects = d->defects,
						 .senders = plan_known_senders(r->plan),
						 .secret = world_virtual_secret(r->world, d->label)};
		int rv;

		if (!dc.secret)
			return err_set(e, ERR_NOMEM, "out of memory");
		for (unsigned m = 0; m < REGISTRY_METHODS && d->methods[m][0]; m++)
			dc.methods[m] = d->methods[m];
		rv = fleet_add(r->fleet, &dc, e);
		if (rv < 0)
			return rv;
	}
	return 0;
}

static int make_fleet(struct vrig *r, struct err *e)
{
	const char *keys[] = {r->pki.token_public, NULL};
	struct fleet_config fc = {.cert = r->pki.fleet.cert,
				  .key = r->pki.fleet.key,
				  .server_ca = r->pki.server_ca.cert,
				  .server_name = "127.0.0.1",
				  .server_keys = keys,
				  .local = r->fleet_addr,
				  .server = r->server_addr,
				  .port_each = r->links.n > 0,
				  .settings = *plan_settings(r->plan),
				  .seed = plan_seed(r->plan),
				  .run_key = r->run_key,
				  .secret = world_virtual_secret(r->world, "fleet"),
				  .journal = r->journal,
				  .changed = changed,
				  .ctx = r};

	r->fleet = fleet_new(&fc, e);
	return r->fleet ? add_devices(r, e) : e->code;
}

/* ---- the whole ---- */

/* Sees every event of the run: a fault that fired may have a `then`. */
static void on_event(void *ctx, const struct journal_event *ev)
{
	struct vrig *r = ctx;
	struct instant at;

	if (ev->kind != J_FAULT_FIRED)
		return;
	at = now_of(r, NO_ACTOR);
	plan_fault_fired(r->plan, &at, journal_text(ev, JF_NAME), ev->dev);
	touch(r, r->plan_id);
}

static int make_world(struct vrig *r, journal_sink *sink, void *ctx, struct err *e)
{
	static const struct plan_rig rig = {.power = rig_power,
					    .drop = rig_drop,
					    .net = rig_net,
					    .disk = rig_disk,
					    .clock = rig_clock,
					    .server = rig_server,
					    .operate = rig_operate,
					    .modem = rig_modem,
					    .arm = rig_arm};
	struct plan_rig pr = rig;
	char *text;
	struct rng rng;

	pr.ctx = r;
	addr_parse(SERVER_ADDR, &r->server_addr);
	addr_parse(FLEET_ADDR, &r->fleet_addr);
	virtual_pki(&r->pki);
	r->journal = journal_new(sink, ctx);
	r->disk = storage_mem_new(UINT64_MAX);
	r->owed = json_array();
	if (!r->journal || !r->disk || !r->owed)
		return err_set(e, ERR_NOMEM, "out of memory");
	r->plan = plan_new(r->json, &pr, r->journal, e);
	if (!r->plan)
		return e->code;
	journal_set_scenario(r->journal, plan_id(r->plan));
	r->faults = faults_new(plan_seed(r->plan));
	r->crashes = faults_new(plan_seed(r->plan));
	r->world = world_virtual_new(plan_seed(r->plan), LINK_DELAY, e);
	r->sqlite = r->world ? world_virtual_secret(r->world, "sqlite") : NULL;
	if (!r->faults || !r->crashes || !r->sqlite)
		return err_set(e, ERR_NOMEM, "out of memory");
	faults_gate(r->faults, plan_may_fire, r->plan);
	world_virtual_day(r->world, plan_day(r->plan));
	journal_set_hook(r->journal, fault_hook, r->faults);
	journal_set_reader(r->journal, on_event, r);
	rng_init(&rng, plan_seed(r->plan), "run", "key");
	rng_bytes(&rng, r->run_key, sizeof(r->run_key));
	world_virtual_install_gnutls(r->world);
	virtual_rnd_seed(plan_seed(r->plan));
	if (store_vfs_register(VFS_NAME, storage_mem_storage(r->disk)))
		return err_set(e, ERR_NOMEM, "out of memory");
	r->vfs = true;
	plan_draw_secrets(r->plan, world_virtual_secret(r->world, "totp"));
	text = plan_registry(r->plan);
	r->registry = text ? registry_parse(text, strlen(text), "registry", e) : NULL;
	free(text);
	return r->registry ? 0 : err_set(e, ERR_INTERNAL, "no registry");
}

static int make_carrier(struct vrig *r, struct err *e)
{
	struct carrier_config cc = {.profile = strcmp(plan_carrier(r->plan), "typical") == 0
						       ? CARRIER_TYPICAL
						       : CARRIER_IMMEDIATE,
				    .seed = plan_seed(r->plan),
				    .senders = plan_senders(r->plan),
				    .receivers = plan_receivers(r->plan),
				    .receiver = plan_receiver_of,
				    .send_time = plan_send_time(r->plan),
				    .init_time = plan_init_time(r->plan),
				    .send_limit = plan_send_limit(r->plan),
				    .per_minute = plan_per_minute(r->plan),
				    .per_day = plan_per_day(r->plan),
				    .modems_seen = plan_models_modems(r->plan),
				    .run_key = r->run_key,
				    .journal = r->journal,
				    .status = sms_status,
				    .deliver = sms_deliver,
				    .ctx = r};

	r->carrier = carrier_new(&cc);
	return r->carrier ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

static void rebound(void *ctx, const struct instant *at, unsigned which, enum link_rebind what)
{
	struct vrig *r = ctx;

	links_rebound(&r->links, r->journal, at->now, which, what);
}

static int place_fleet(struct vrig *r, struct err *e)
{
	struct world_actor fleet = {"fleet", fleet_in, fleet_end_turn, fleet_due, r};
	struct world_span span = {r->fleet_addr, r->links.n, r->links.v, rebound, r};

	r->fleet_id = world_virtual_add(r->world, &fleet, r->links.n ? NULL : &r->fleet_addr);
	if (r->links.n && world_virtual_bind_span(r->world, r->fleet_id, &span))
		return err_set(e, ERR_LIMIT, "a network for more than %u devices is not possible here",
			       65536 - FLEET_PORT);
	links_start(&r->links, now_of(r, NO_ACTOR).now);
	return 0;
}

static int populate(struct vrig *r, struct err *e)
{
	struct world_actor carrier = {"carrier", NULL, carrier_end_turn, carrier_due, r};
	struct world_actor plan = {"plan", NULL, plan_end_turn, plan_due, r};
	int rv = make_carrier(r, e);

	if (!rv)
		rv = links_make(&r->links, r->plan, e);
	if (!rv)
		rv = make_fleet(r, e);
	if (rv)
		return rv;
	r->carrier_id = world_virtual_add(r->world, &carrier, NULL);
	rv = start_server(r, e);
	if (rv)
		return rv;
	rv = place_fleet(r, e);
	if (rv)
		return rv;
	r->plan_id = world_virtual_add(r->world, &plan, NULL);
	return 0;
}

static void fini(struct vrig *r)
{
	if (r->server)
		server_free(r->server);
	fleet_free(r->fleet);
	carrier_free(r->carrier);
	if (r->vfs)
		store_vfs_unregister(VFS_NAME);
	storage_mem_free(r->disk);
	json_decref(r->owed);
	registry_free(r->registry);
	plan_free(r->plan);
	world_virtual_free(r->world);
	links_free(&r->links);
	journal_free(r->journal);
	faults_free(r->faults);
	faults_free(r->crashes);
}

static int run(struct vrig *r, struct err *e)
{
	struct instant at = now_of(r, NO_ACTOR);
	int rv;

	JOURNAL(r->journal, at.now, "runner", NULL, NULL, NULL, J_SCENARIO_START, JS(ID, plan_id(r->plan)),
		JS(SEED, json_string_value(json_object_get(r->json, "seed"))), JS(RIG, "virtual"));
	rv = plan_arm(r->plan, &at, e);
	if (rv)
		return rv;
	r->armed = true;
	plan_start(r->plan, &at);
	touch(r, r->plan_id);
	while (r->end == PLAN_RUNNING && !r->error && !journal_error(r->journal))
		if (!world_virtual_step(r->world))
			break;
	if (!r->error && json_array_size(r->owed))
		r->error = err_set(e, ERR_CLOSED, "no server took what the operator asked for (%s)",
				   json_string_value(json_object_get(json_array_get(r->owed, 0), "do")));
	if (r->error)
		return r->error;
	at = now_of(r, NO_ACTOR);
	fleet_counts(r->fleet, &at);
	PLANT_TELL(r->journal, at.now);
	JOURNAL(r->journal, at.now, "runner", NULL, NULL, NULL, J_SCENARIO_END, JS(ID, plan_id(r->plan)),
		JS(WHY, r->end == PLAN_SETTLED ? "settled" : plan_why(r->plan)));
	return journal_error(r->journal) ? err_set(e, ERR_IO, "nobody reads the journal") : 0;
}

int world_rig_run(json_t *plan, journal_sink *sink, void *ctx, struct err *e)
{
	struct vrig r = {.json = plan,
			 .plan_id = NO_ACTOR,
			 .fleet_id = NO_ACTOR,
			 .carrier_id = NO_ACTOR,
			 .server_id = NO_ACTOR,
			 .e = e};
	int rv = make_world(&r, sink, ctx, e);

	if (!rv)
		rv = populate(&r, e);
	if (!rv)
		rv = run(&r, e);
	fini(&r);
	return rv;
}
