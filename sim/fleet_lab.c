/* What a lab does to a device from without: its power, its disk, its clock. */
#include <assert.h>

#include "sim/fleet_priv.h"

static void disk(struct fleet *f, struct fleet_device *fd, enum disk_trouble t, time_ns length)
{
	if (!fd->own)
		return;
	storage_mem_trouble(fd->own, t);
	fd->disk_until = time_add(f->at.now, length);
}

void fleet_heal_disk(struct fleet_device *fd)
{
	if (fd->fleet->at.now >= fd->disk_until)
		disk(fd->fleet, fd, DISK_SOUND, TIME_NEVER);
}

static void disk_fault(struct fleet_device *fd, const struct fault *fault)
{
	const char *what = json_string_value(json_object_get(fault_args(fault), "what"));
	json_t *length = json_object_get(fault_args(fault), "length_ns");
	int t = fault_is(fault, "disk_full") ? DISK_FULL : what ? disk_trouble_by_name(what) : -1;

	if (t > DISK_SOUND)
		disk(fd->fleet, fd, (enum disk_trouble)t, length ? (time_ns)json_integer_value(length) : TIME_NEVER);
}

static int left_of(const struct fault *fault)
{
	const char *word = json_string_value(json_object_get(fault_args(fault), "unsynced"));

	return word ? disk_unsynced_by_name(word) : -1;
}

void fleet_fault(struct fleet_device *fd, const struct fault *fault)
{
	json_int_t off_ns;

	if (fault_is(fault, "power_cut") || fault_is(fault, "power_cycle"))
		fd->unsynced = left_of(fault);
	if (fault_is(fault, "power_cut")) {
		fd->cut = true;
	} else if (fault_is(fault, "power_cycle")) {
		off_ns = json_integer_value(json_object_get(fault_args(fault), "off_ns"));
		fd->cut = true;
		fd->off_for = off_ns > 0 ? (time_ns)off_ns : 0;
	} else if (fault_is(fault, "drop_connection")) {
		fd->drop = true;
	} else if (fault_is(fault, "disk_full") || fault_is(fault, "disk_error")) {
		disk_fault(fd, fault);
	} else if (fault_is(fault, "clock_step")) {
		fd->clock_ms += json_integer_value(json_object_get(fault_args(fault), "by_ms"));
	}
}

int fleet_disk(struct fleet *f, const struct instant *at, unsigned index, enum disk_trouble t, time_ns length)
{
	assert(index < f->n);
	if (!f->devices[index]->own)
		return ERR_UNSUPPORTED;
	f->at = *at;
	disk(f, f->devices[index], t, length);
	return 0;
}

void fleet_clock_step(struct fleet *f, unsigned index, int64_t by_ms)
{
	assert(index < f->n);
	f->devices[index]->clock_ms += by_ms;
}
