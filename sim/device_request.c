/* What a device sends: one request, with a fresh nonce. */
#include "sim/device_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/hash.h"

/* What each type of the seed measures. */
static const struct {
	const char *type;
	double low, high;
} ranges[] = {
	{"thermometer", -273, 1000}, {"lightSensor", 0, 20000},    {"humidityMeter", 0, 100},
	{"presenceDetector", 0, 1},  {"windSpeedSensor", 0, 10000},
};

/* A value in the type's range that depends on device and moment only, so that it
 * takes nothing from the backoff's random stream. */
static double measure_at(const struct device *dev, int64_t unix_ms)
{
	uint64_t x = (uint64_t)unix_ms * UINT64_C(0x9e3779b97f4a7c15);
	double low = 0, high = 100;

	for (const char *p = dev->id.uuid; *p; p++)
		x = (x ^ (uint8_t)*p) * UINT64_C(0x100000001b3); /* FNV-1a */
	x ^= x >> 29;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		if (strcmp(ranges[i].type, dev->id.device_type) == 0) {
			low = ranges[i].low;
			high = ranges[i].high;
		}
	}
	return low + (double)(int64_t)((double)(x % 10000) / 100 * (high - low)) / 100;
}

static void fill_identity(const struct device *dev, struct msg_request *r)
{
	snprintf(r->uuid, sizeof(r->uuid), "%s", dev->id.uuid);
	snprintf(r->device_type, sizeof(r->device_type), "%s", dev->id.device_type);
	snprintf(r->serial_id, sizeof(r->serial_id), "%s", dev->id.serial_id);
}

static void fill_additions(const struct device *dev, struct msg_request *r)
{
	struct token_keys *k = device_keys(dev);

	r->kids_n = token_keys_count(k);
	if (r->kids_n > MSG_KIDS_MAX)
		r->kids_n = MSG_KIDS_MAX;
	for (unsigned i = 0; i < r->kids_n; i++)
		snprintf(r->kids[i], sizeof(r->kids[i]), "%s", token_keys_kid(k, i));
	for (unsigned i = 0; i < dev->done_n && i < MSG_DONE_MAX; i++)
		snprintf(r->done[r->done_n++], sizeof(r->done[0]), "%s", dev->done[i]);
}

static void fill_register(const struct device *dev, struct msg_request *r)
{
	snprintf(r->network_type, sizeof(r->network_type), "%s", dev->id.network_type);
	snprintf(r->network_id, sizeof(r->network_id), "%s", dev->id.network_id);
	for (unsigned i = 0; i < dev->methods_n; i++)
		snprintf(r->methods[r->methods_n++], sizeof(r->methods[0]), "%s", dev->methods[i]);
	snprintf(r->registration, sizeof(r->registration), "%s", dev->registration);
}

static void take_measure(struct device *dev, const struct instant *at)
{
	/* the same measure unless a newer one is due; a refused one once more in any case */
	if (dev->has_measure && (dev->resend || at->now < dev->due_at)) {
		dev->resend = false;
		return;
	}
	dev->resend = false;
	dev->has_measure = true;
	dev->sent_again = false;
	dev->measure_ms = at->unix_ms;
	dev->measure = measure_at(dev, at->unix_ms);
	dev->due_at = time_add(at->now, dev->interval);
}

void device_send(struct device *dev, const struct instant *at, struct device_effects *fx)
{
	struct msg_request r = {.resource = dev->pending, .authentication = dev->none};
	uint8_t nonce[NONCE_LEN / 2];
	char fp[HASH_FP_SIZE], ts[24] = "";
	struct device_effect *e;
	size_t start = fx->bytes.len;
	int rv;

	dev->resource = dev->pending;
	dev->pending = MSG_RESOURCES;
	dev->request_id = ++dev->last_id;
	dev->request_at = at->now;
	secret_fill(dev->secret, nonce, sizeof(nonce));
	hash_hex(nonce, sizeof(nonce), dev->nonce);
	snprintf(r.nonce, sizeof(r.nonce), "%s", dev->nonce);
	fill_identity(dev, &r);
	fill_additions(dev, &r);
	switch (dev->resource) {
	case MSG_REGISTER:
		fill_register(dev, &r);
		break;
	case MSG_LOGIN:
		snprintf(r.registration, sizeof(r.registration), "%s", dev->registration);
		snprintf(r.code, sizeof(r.code), "%s", dev->code);
		hash_fingerprint(dev->sh->run_key, dev->code, fp);
		FX_JOURNAL(fx, dev, J_DEVICE_CODE, JS(CODE_FP, fx_text(fx, fp)), JS(STATUS, "used"),
			   JS(WHY, dev->totp ? "totp" : NULL));
		break;
	case MSG_PUBLISH:
		take_measure(dev, at);
		r.authentication = dev->access ? dev->access : dev->none;
		r.measure = dev->measure;
		r.timestamp = dev->measure_ms;
		snprintf(ts, sizeof(ts), "%" PRId64, dev->measure_ms);
		break;
	default:
		r.authentication = dev->refresh ? dev->refresh : dev->none;
		break;
	}
	r.authentication_len = strlen(r.authentication);
	rv = msg_request_build(&r, &fx->bytes);
	explicit_bzero(r.code, sizeof(r.code));
	if (rv)
		fx->failed = rv; /* nothing leaves; the answer's timeout leads on */
	FX_JOURNAL(fx, dev, J_DEVICE_REQUEST, JS(RESOURCE, msg_resource_name(dev->resource)),
		   JS(TS, ts[0] ? fx_text(fx, ts) : NULL));
	if (rv)
		return;
	e = fx_add(fx, DEVICE_FX_REQUEST);
	e->id = dev->request_id;
	e->at = start;
	e->len = fx->bytes.len - start;
}
