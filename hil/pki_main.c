/* quicrig pki DIR [--host NAME…]: a rig's certificates and keys, in one new set of files. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/pki.h"
#include "core/pki_files.h"
#include "hil/verbs.h"

#define HOSTS_MAX 32

static const char help[] =
	"usage: quicrig pki DIR [--host NAME]…\n"
	"\n"
	"Makes in DIR (0700, files 0600): a server CA and certificate, a device CA and the\n"
	"fleet certificate (Ed25519), the RS256 token key pair, the stateless reset key and\n"
	"the store key. Nothing that is there already is overwritten.\n"
	"\n"
	"  --host NAME   a DNS name or IP address for the server's certificate; may be\n"
	"                repeated. Default: localhost, 127.0.0.1, ::1\n"
	"  --days N      validity (default 3650)\n";

int pki_main(int argc, char **argv)
{
	static const struct option options[] = {{"host", required_argument, NULL, 'n'},
						{"days", required_argument, NULL, 'd'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	const char *hosts[HOSTS_MAX];
	struct pki_options o = {.hosts = hosts, .now_s = (int64_t)time(NULL)};
	struct pki p;
	struct err e = {0};
	long days = 3650;
	char text[800];
	int c, rv;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'n':
			if (o.hosts_n == HOSTS_MAX) {
				fprintf(stderr, "quicrig pki: error: at most %d hosts\n", HOSTS_MAX);
				return 2;
			}
			hosts[o.hosts_n++] = optarg;
			break;
		case 'd':
			days = strtol(optarg, NULL, 10);
			if (days < 1 || days > 36500) {
				fprintf(stderr, "quicrig pki: error: --days is 1…36500, not '%s'\n", optarg);
				return 2;
			}
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			return 2;
		}
	}
	if (optind + 1 != argc) {
		fputs(help, stderr);
		return 2;
	}
	o.not_before_s = o.now_s - 86400;
	o.not_after_s = o.now_s + days * 86400;
	memset(&p, 0, sizeof(p));
	rv = pki_make(&o, &p, &e);
	if (!rv)
		rv = pki_files_write(argv[optind], &p, &e);
	pki_fini(&p);
	if (rv) {
		fprintf(stderr, "quicrig pki: error: %s\n", err_format(&e, text, sizeof(text)));
		return 2;
	}
	printf("keys and certificates in %s; start a server with: quicrig serve --pki %s …\n", argv[optind],
	       argv[optind]);
	return 0;
}
