#include "core/lease.h"

#define MINUTE_NS (60 * NS_PER_S)
#define SMS_S_MIN 1e-3 /* a modem that takes no time sends a thousand a second */

const char *modem_state_name(enum modem_state s)
{
	static const char *const names[MODEM_STATE_COUNT] = {
#define NAME(name) #name,
		MODEM_STATES(NAME)
#undef NAME
	};

	return (unsigned)s < MODEM_STATE_COUNT ? names[s] : "?";
}

bool lease_up(enum modem_state s)
{
	return s == MODEM_READY || s == MODEM_SENDING;
}

void lease_used(struct lease *l, time_ns now)
{
	l->used_at = now;
	l->recent[l->recent_at++ % LEASE_RATE_MAX] = now;
}

unsigned lease_slots(const struct lease *l, time_ns now)
{
	unsigned used = 0;

	if (!l->per_minute)
		return LEASE_RATE_MAX;
	for (unsigned i = 0; i < LEASE_RATE_MAX; i++)
		used += l->recent[i] && now < time_add(l->recent[i], MINUTE_NS);
	return used >= l->per_minute ? 0 : l->per_minute - used;
}

time_ns lease_slot_at(const struct lease *l, time_ns now)
{
	unsigned back = l->per_minute;

	if (lease_slots(l, now))
		return now;
	/* the per_minute-th last hand-over is the one whose minute ends first */
	return time_add(l->recent[(l->recent_at - back) % LEASE_RATE_MAX], MINUTE_NS);
}

bool lease_can_send(const struct lease *l, time_ns now)
{
	return l->state == MODEM_READY && !l->busy && !l->spent && lease_slots(l, now);
}

static bool is_sender(const struct lease *l)
{
	return l->sends && !l->ejected;
}

int lease_pick(const struct lease *v, size_t n, uint64_t tried, time_ns now, bool *any)
{
	int best = -1;

	*any = false;
	for (size_t i = 0; i < n; i++) {
		if (!is_sender(&v[i]) || !lease_can_send(&v[i], now))
			continue;
		*any = true;
		if (tried & UINT64_C(1) << i)
			continue;
		if (best < 0 || v[i].used_at < v[best].used_at)
			best = (int)i;
	}
	return best;
}

bool lease_others_left(const struct lease *v, size_t n, uint64_t tried)
{
	for (size_t i = 0; i < n; i++)
		if (is_sender(&v[i]) && v[i].state != MODEM_ABSENT && !(tried & UINT64_C(1) << i))
			return true;
	return false;
}

unsigned lease_eta(const struct lease *v, size_t n, double backlog, double sms_s, double init_s, time_ns now)
{
	double fast = 0, slow = 0, slots = 0, wait = -1, eta;

	if (sms_s < SMS_S_MIN)
		sms_s = SMS_S_MIN;
	for (size_t i = 0; i < n; i++) {
		double ready = lease_up(v[i].state) ? 0 : init_s;

		if (!is_sender(&v[i]) || v[i].state == MODEM_ABSENT || v[i].state == MODEM_PIN || v[i].spent)
			continue;
		if (wait < 0 || ready < wait)
			wait = ready;
		fast += 1 / sms_s;
		slots += lease_slots(&v[i], now);
		slow += v[i].per_minute ? v[i].per_minute / 60.0 : 1 / sms_s;
	}
	if (wait < 0)
		return UINT32_MAX;
	if (backlog <= slots)
		eta = wait + (backlog - 1) / fast;
	else
		eta = wait + slots / fast + (backlog - slots) / slow;
	return eta > UINT32_MAX / 2 ? UINT32_MAX / 2 : (unsigned)(eta + 0.5);
}
