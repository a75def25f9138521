/* network: what stands between a device and the server. Profiles are written out here,
 * so that whoever runs a plan knows none of them. */
#include "hil/language/scenario_internal.h"

#include <string.h>

#define QUIC_MTU 1200 /* RFC 9000 §14: no handshake fits into less */

/* As quic-interop-runner has them, in a plan's words: its links have 15 ms each way,
 * 10 Mbit/s and 25 datagrams of queue. */
#define USUAL "\"delay_ns\": 15000000, \"rate_bps\": 10000000, \"queue\": 30000"
static const struct {
	const char *name, *plan;
} profiles[] = {
	{"handshakeloss", "{\"loss\": 0.3, \"burst\": 3, \"phase\": \"handshake\", " USUAL "}"},
	{"transferloss", "{\"loss\": 0.02, \"burst\": 3, \"phase\": \"transfer\", " USUAL "}"},
	{"handshakecorruption", "{\"corrupt\": 0.3, \"burst\": 3, \"phase\": \"handshake\", " USUAL "}"},
	{"transfercorruption", "{\"corrupt\": 0.02, \"burst\": 3, \"phase\": \"transfer\", " USUAL "}"},
	{"blackhole", "{\"blackhole\": {\"at_ns\": 5000000000, \"for_ns\": 2000000000, \"every_ns\": 7000000000}, " USUAL "}"},
	{"longrtt", "{\"delay_ns\": 375000000, \"rate_bps\": 10000000, \"queue\": 30000}"},
	{"rebind-port", "{\"rebind\": {\"what\": \"port\", \"after_ns\": 1000000000, \"every_ns\": 5000000000}, " USUAL "}"},
	{"rebind-addr", "{\"rebind\": {\"what\": \"address\", \"after_ns\": 1000000000, \"every_ns\": 5000000000}, " USUAL "}"},
	{"amplificationlimit", "{\"drop\": {\"up\": [2, 3, 4, 5, 6, 7], \"down\": [], \"per\": \"connection\"}, " USUAL "}"},
};

/* What the scenario says itself counts, the rest is the profile's. */
static void write_out(struct reader *r, json_t *network)
{
	json_t *name = json_object_get(network, "profile"), *plan;

	for (size_t i = 0; name && i < sizeof(profiles) / sizeof(profiles[0]); i++) {
		if (strcmp(json_string_value(name), profiles[i].name) != 0)
			continue;
		plan = json_loads(profiles[i].plan, 0, NULL);
		if (!plan || json_object_update_missing(network, plan))
			r->nomem = true;
		json_decref(plan);
		break;
	}
	json_object_del(network, "profile");
}

/* {on, off} or {at, for} → {at_ns, for_ns, every_ns}. */
static void read_window(struct reader *r, const struct yaml_node *n, json_t *network)
{
	json_t *w = json_object_get(network, "blackhole");
	json_t *on = json_object_get(w, "on_ns"), *off = json_object_get(w, "off_ns");
	json_t *at = json_object_get(w, "at_ns"), *length = json_object_get(w, "for_ns");
	json_int_t a, b;

	if (!w || (at && length && !on && !off))
		return;
	if (!on || !off || at || length) {
		diag_error(r->ds, r->src, n->at, "as in blackhole: {on: 5s, off: 2s} or {at: 3s, for: 40s}",
			   "'blackhole' wants 'on' and 'off', or 'at' and 'for'");
		return;
	}
	a = json_integer_value(on);
	b = json_integer_value(off);
	if (a > INT64_MAX - b)
		diag_error(r->ds, r->src, n->at, NULL, "'on' and 'off' are too long");
	else
		read_put(r, network, "blackhole", json_pack("{s:I, s:I, s:I}", "at_ns", a, "for_ns", b, "every_ns", a + b));
}

static void read_drop(struct reader *r, const struct yaml_node *n, json_t *network)
{
	json_t *drop = json_object_get(network, "drop");

	if (!drop)
		return;
	if (!yaml_get(n, "up") && !yaml_get(n, "down"))
		diag_error(r->ds, r->src, n->at, "as in drop: {up: \"2..7\"}", "'drop' wants 'up', 'down' or both");
	if (!json_object_get(drop, "up"))
		read_put(r, drop, "up", json_array());
	if (!json_object_get(drop, "down"))
		read_put(r, drop, "down", json_array());
	if (!json_object_get(drop, "per"))
		read_put(r, drop, "per", json_string("link"));
}

static void check_company(struct reader *r, const struct yaml_node *n, json_t *network)
{
	static const struct {
		const char *key, *with[2], *plan[2], *say; /* with: as the file has it; plan: a profile's */
	} rows[] = {{"burst", {"loss", "corrupt"}, {"loss", "corrupt"}, "'loss' or 'corrupt'"},
		    {"phase", {"loss", "corrupt"}, {"loss", "corrupt"}, "'loss' or 'corrupt'"},
		    {"queue", {"rate", "rate"}, {"rate_bps", "rate_bps"}, "'rate'"}};
	const struct yaml_node *key;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if ((key = yaml_get(n, rows[i].key)) && !yaml_get(n, rows[i].with[0]) && !yaml_get(n, rows[i].with[1]) &&
		    !json_object_get(network, rows[i].plan[0]) && !json_object_get(network, rows[i].plan[1]))
			diag_error(r->ds, r->src, key->at, NULL, "'%s' goes with %s", rows[i].key, rows[i].say);
}

void scenario_network(struct reader *r, const struct yaml_node *n, json_t *network)
{
	const struct yaml_node *mtu = yaml_get(n, "mtu"), *part;
	size_t errors = r->ds->errors;

	if (n->kind != YAML_KIND_MAP)
		return;
	write_out(r, network);
	if ((part = yaml_get(n, "blackhole")))
		read_window(r, part, network);
	if ((part = yaml_get(n, "drop")))
		read_drop(r, part, network);
	check_company(r, n, network);
	if (mtu && r->ds->errors == errors && json_integer_value(json_object_get(network, "mtu")) < QUIC_MTU)
		diag_warn(r->ds, r->src, mtu->at, NULL,
			  "'mtu' is below %d: no QUIC handshake passes (RFC 9000, 14)", QUIC_MTU);
}
