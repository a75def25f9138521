/* An unknown resource: 404 with a valid token, else as publish without one. */
#ifndef SERVER_PUBLISH_H
#define SERVER_PUBLISH_H

struct enroll_call;
int enroll_other(struct enroll_call *c);

#endif
