/* What others may ask a device. */
#include "sim/device_priv.h"

enum state_name device_state(const struct device *dev)
{
	return dev->state;
}

time_ns device_deadline(const struct device *dev)
{
	return dev->deadline;
}

const char *device_label(const struct device *dev)
{
	return dev->label;
}

const char *device_uuid(const struct device *dev)
{
	return dev->id.uuid;
}

uint64_t device_in_flight(const struct device *dev)
{
	return dev->request_id;
}

uint64_t device_refused(const struct device *dev)
{
	return dev->refused;
}

const char *device_registration(const struct device *dev)
{
	return dev->registration;
}

bool device_holds_connection(const struct device *dev)
{
	return dev->hold;
}
