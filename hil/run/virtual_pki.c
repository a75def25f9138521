/* The virtual rig's key set: fixed, published, for simulation only (contracts.md, Keys
 * and certificates). A constant set and a constant epoch make one seed give one journal
 * on any day. Linked into quicrig-virtual alone; whoever trusts these keys on a network
 * trusts everybody. Valid 2025-01-01 … 2055-01-01. */
#include "hil/run/virtual_pki.h"

#include <string.h>

static const char server_ca[] = "-----BEGIN CERTIFICATE-----\n"
				"MIIBPDCB76ADAgECAhBnB9hTKd/afQhndE2VyL9QMAUGAytlcDAcMRowGAYDVQQD\n"
				"ExFxdWljcmlnIHNlcnZlciBDQTAgFw0yNTAxMDEwMDAwMDBaGA8yMDU1MDEwMTAw\n"
				"MDAwMFowHDEaMBgGA1UEAxMRcXVpY3JpZyBzZXJ2ZXIgQ0EwKjAFBgMrZXADIQD4\n"
				"Ap2lsSC1TKoCQ25oZDt3OzK1z7P9PZH1xcXjbvTpU6NFMEMwEgYDVR0TAQH/BAgw\n"
				"BgEB/wIBADAOBgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFFDiLjfSOcJXeVe8gFNn\n"
				"54waYRH3MAUGAytlcANBALMDE5cQM4MsMWhUJHKEXiRc7gGo0JDUktAJSjHnXAGO\n"
				"rDyarSHtrPRl4upYV9ZGSafI9XI2RDZjRsEKUd1Ofwk=\n"
				"-----END CERTIFICATE-----\n"
				"";

static const char server_cert[] = "-----BEGIN CERTIFICATE-----\n"
				  "MIIBmjCCAUygAwIBAgIQSDtB0wNKg5obB/NfaXExwzAFBgMrZXAwHDEaMBgGA1UE\n"
				  "AxMRcXVpY3JpZyBzZXJ2ZXIgQ0EwIBcNMjUwMTAxMDAwMDAwWhgPMjA1NTAxMDEw\n"
				  "MDAwMDBaMBkxFzAVBgNVBAMTDnF1aWNyaWcgc2VydmVyMCowBQYDK2VwAyEAK+tH\n"
				  "254p9gXWpR52xuMagdFm6M9P6sM88p2LNKJ7Ad+jgaQwgaEwDAYDVR0TAQH/BAIw\n"
				  "ADAOBgNVHQ8BAf8EBAMCB4AwEwYDVR0lBAwwCgYIKwYBBQUHAwEwHQYDVR0OBBYE\n"
				  "FCHJoYq3Crmj/PdcjFG2PByvcz44MB8GA1UdIwQYMBaAFFDiLjfSOcJXeVe8gFNn\n"
				  "54waYRH3MCwGA1UdEQQlMCOCCWxvY2FsaG9zdIcEfwAAAYcQAAAAAAAAAAAAAAAA\n"
				  "AAAAATAFBgMrZXADQQB3WBAKBME06r0rWlj6J2LiUp3FIuNbPsktexKxvZ8N4dp/\n"
				  "mUR+PrM1knmoTgEO7o98A67FSjYh7agtQjObmWQA\n"
				  "-----END CERTIFICATE-----\n"
				  "";

static const char server_key[] = "-----BEGIN PRIVATE KEY-----\n"
				 "MC4CAQAwBQYDK2VwBCIEIA0YpTQFCBlcZGuswdxmxqeAhaqgQfvuokeHJPbp6Etm\n"
				 "-----END PRIVATE KEY-----\n"
				 "";

static const char device_ca[] = "-----BEGIN CERTIFICATE-----\n"
				"MIIBPDCB76ADAgECAhBt0ic9mfMWniZweFzcFZloMAUGAytlcDAcMRowGAYDVQQD\n"
				"ExFxdWljcmlnIGRldmljZSBDQTAgFw0yNTAxMDEwMDAwMDBaGA8yMDU1MDEwMTAw\n"
				"MDAwMFowHDEaMBgGA1UEAxMRcXVpY3JpZyBkZXZpY2UgQ0EwKjAFBgMrZXADIQDA\n"
				"DtD+OEwKSwMuqZWP8XH6UDsfvxiRMvu74LT2cGAncKNFMEMwEgYDVR0TAQH/BAgw\n"
				"BgEB/wIBADAOBgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFCjacmmjY4kKxsHARBdO\n"
				"ZtVob6W/MAUGAytlcANBAJ5Ad9qhDKfxgYbVJseYXVTWCCo1b/FXVte3QDIslilK\n"
				"bFlRThO9/lvRfyYeb+3Oib1Mocp8nXAwFb7IZMSr2AQ=\n"
				"-----END CERTIFICATE-----\n"
				"";

static const char fleet_cert[] = "-----BEGIN CERTIFICATE-----\n"
				 "MIIBaTCCARugAwIBAgIQRzah5s1XbX4h59sh+8aHcDAFBgMrZXAwHDEaMBgGA1UE\n"
				 "AxMRcXVpY3JpZyBkZXZpY2UgQ0EwIBcNMjUwMTAxMDAwMDAwWhgPMjA1NTAxMDEw\n"
				 "MDAwMDBaMBgxFjAUBgNVBAMTDXF1aWNyaWcgZmxlZXQwKjAFBgMrZXADIQBL3zYy\n"
				 "OCSrkt7zAvF5tO95dhCnxEmwsPkk3UlnwU7fGKN1MHMwDAYDVR0TAQH/BAIwADAO\n"
				 "BgNVHQ8BAf8EBAMCB4AwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0OBBYEFCrL\n"
				 "pXiSlN+UN3ziZ3rP3Dwt4scfMB8GA1UdIwQYMBaAFCjacmmjY4kKxsHARBdOZtVo\n"
				 "b6W/MAUGAytlcANBAJFnm4z2KSe98hc4GXxuPm9zbISqhK9T7xLoCdRtopb8IAe6\n"
				 "YTGcvVDyS3/2gxaQTJcLz4sDo4MzxCSlE715Qwg=\n"
				 "-----END CERTIFICATE-----\n"
				 "";

static const char fleet_key[] = "-----BEGIN PRIVATE KEY-----\n"
				"MC4CAQAwBQYDK2VwBCIEICE/cAbqehyX2D00ziavTVBW3pfoWYuU24qardCUZhoB\n"
				"-----END PRIVATE KEY-----\n"
				"";

static const char token_key[] = "-----BEGIN PRIVATE KEY-----\n"
				"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC/wGiLeJURfus1\n"
				"otaA23rS9PhpIiHNRAr+hMlyOV7OjOiGfRgSz+KFyiUzLvSEwxu7qVKq/dCW0upP\n"
				"q5whKSnRz7mdIjNPP7uV0lX6UMgJ4pbiWQLdVZUOf72xw6Ja1B1ORZWL0h8PeWb/\n"
				"IuurJQpNG8iNF3vAx2PpXRhg5156eWu0VhTezXOiQx9LapzC8u12FxrTNaWyEz0x\n"
				"Yd04x0VI6t+fktkckydE7ShYvKGGO8ghTZC8Bhrq/OX/bSciZ5pXALP8R3QrRLM6\n"
				"XFTegTReCENE+iVmwI/jRPBBjUNby1Wp5tst9BTRhSkRxBjHOx7RaSGetudUSXPg\n"
				"Ngj7WWTVAgMBAAECggEAakgWaj/CuDjV3BvOswtz75uyWGt/ustdIKevFG2yG+BE\n"
				"Pc72We75ylg5+D2tcCzIoWJ/nKEkTYTINLKUzliHgnCVm//J2sIjki5MU3sU9U2v\n"
				"ffQCP3XhMXEiTnZ19cweFjVBZ4dmiegra30KjQjxxb2BkpqSkE60FTPxgDydxFmz\n"
				"dY1X/6fjFf+kumGTVjkmndb+TcNEX2vcupTwGaiOmYm1qqANwCxsSqDXR3W6Zmal\n"
				"OKMc7Xg34XthJdaYo9pgbXjOySDHPPPglkZah/E8Tj8BP2Cn3/Zzef1fn4c2glBl\n"
				"JnNahXiS8us0mNwyr+LFhhoQVP+qOWyTBO3s+R4fAQKBgQDGQ34jlXnET0vSonux\n"
				"vOPA2OfAC4yBrXjMRCGsW6oGcHz+wMCMmPgwvjR6oxu3+pycY48HwOaI98xz1uom\n"
				"7WWpttwDsWAFrXN5JaO920XOr8+02CDvx/8gGIghDlvdlQNNeS/Xjd2WofPBECIw\n"
				"vhYDDhktC0aTAOYUeARwQ3uVwQKBgQD3l3GqXhi90lK1EXk76okPzAESn1aHcjYR\n"
				"2l90rXC+B+C1bzLDIsO6vClcipxTSsNuz2VYWzGS8E/hXbcLCv2Gt4vefUS5Qpp+\n"
				"BlLN7LBSACVR/YNQGalYZCQp3At9JjgZDlc7YRb2ToiX4SbqtMTqFgnkq1gI/pge\n"
				"uLuZ5RUcFQKBgQC4xWvIE+Uge9opGn52vZfwQPVyeBDhRd7/VzuemurRB4KmFNMd\n"
				"9O3Q12KnLF2Hz4qnAO3qhu8SlQW4q4Ea+EG3shBHbMYVZHnqXJbGOJVNM3I6kvXX\n"
				"Iad1rQco723UCqzCRf+9PpxVZud5dOS4Ul7HSBtUbF7AX6UNTHCug2WowQKBgAZq\n"
				"NBW37mgspNvwIfX9c6OnI3f6DOHhgakgwUximgMybQ4GXYhUxEF4UpIFPVujGkEq\n"
				"unN5mWU3OLqcFPwCQuNUqhkPodIy+ZG+VDLlqQPW4SCosthGce7KWW2EN//8F4P+\n"
				"rR/qug+TpVJaEQoPuPJfs83q6pMBFavmGWY5WzypAoGAWWvD4YSTtzlgAZ921A5k\n"
				"HUktIi8sF0oV+clCJxNMJvSQzN9muBnF5OST+kQIBrxp7/lPhQlqshLBsWBeoXIt\n"
				"PnSqb+BLZ6pVSwl9u+3OSIL0sYgwJkZdLJnqb4q6Qkan/g29jJtsnGwPxzwm8gHP\n"
				"jkERxMBaojJYQ1LeIarQ0YI=\n"
				"-----END PRIVATE KEY-----\n"
				"";

static const char token_public[] = "-----BEGIN PUBLIC KEY-----\n"
				   "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAv8Boi3iVEX7rNaLWgNt6\n"
				   "0vT4aSIhzUQK/oTJcjlezozohn0YEs/ihcolMy70hMMbu6lSqv3QltLqT6ucISkp\n"
				   "0c+5nSIzTz+7ldJV+lDICeKW4lkC3VWVDn+9scOiWtQdTkWVi9IfD3lm/yLrqyUK\n"
				   "TRvIjRd7wMdj6V0YYOdeenlrtFYU3s1zokMfS2qcwvLtdhca0zWlshM9MWHdOMdF\n"
				   "SOrfn5LZHJMnRO0oWLyhhjvIIU2QvAYa6vzl/20nImeaVwCz/Ed0K0SzOlxU3oE0\n"
				   "XghDRPolZsCP40TwQY1DW8tVqebbLfQU0YUpEcQYxzse0WkhnrbnVElz4DYI+1lk\n"
				   "1QIDAQAB\n"
				   "-----END PUBLIC KEY-----\n"
				   "";

/* What a rotation of the token key brings. */
static const char next_token_key[] = "-----BEGIN PRIVATE KEY-----\n"
				     "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDG4utZisTwf6gw\n"
				     "K5HKwLU1B1n6RoszTZ/iU1hryzCt91dvew+XhaunkRPMLlIhuSCw9RfVAjuX7sqD\n"
				     "F97RuY5TZrI2BzONZfbHxllBgeGgQgBMjqBzBCIVSIMiKDAm8IKW+BKeP0+D2MNv\n"
				     "o65zqrEZ/5h8CAiOJdxGVlbTQd8WWmrGD6Kn2yLeMnmmueAtxmhWR5YUYHLLqAWg\n"
				     "6Oer2XCcYGfMOH6cZ0ZxcKaE2DQkjJL6RuT0N+wSLhszPHJ/HWOEc4+Plb96naqG\n"
				     "yp4flDmiZb5REHjGDi5Z8hegs3rgiJ4lgHA3ez/Zxa4U8KbW5YlShmiNLlkhg4mi\n"
				     "z90+BgMlAgMBAAECggEAA4IKIBrqcHUQ2t9R3JoJ4tor17nA61k8UxhZk6En6Zi6\n"
				     "FbDoQcY0hmKba57RUJigKgtQpq9yrKQWGR268jkMBuPJGlq+t95AtR3prMfW9uXx\n"
				     "WKE6uLWDHtTe+s4yjI/x/pwGikPmYsEC9z1oywi2NYeSwXTaJqrQ1/szw6B7a65t\n"
				     "LZYlynbZDJDmR3z+VjTjP+Lwml+l8hbrdjP04APIqL58/1XV3PbBohj0jz7hPD5R\n"
				     "OHn0FyeVsB8crQJeAg3G+cVr21P1F3/HBU0EKmGxO0W8MH7QUgF+hHD9yPwXvt7p\n"
				     "Kd8HwSMSqIlJQJtKyFPLf9L+h/wTEnCVg4MwXx81AQKBgQDqvfBTVycL9rMrFGOd\n"
				     "Do066333JeHJqk/8CbEUxtO94bijtLQvN0ArFTdiv4i1hxoz+8oOzN7rAZedM9db\n"
				     "VylJXAzHPQHsjSX/kOqEUJp/2IOQ6UlVu1AD9+zU2hIWXBwd4VOHqcOGMttOpjKT\n"
				     "1zk4fSCz72qMyjWPoZAUNHALpQKBgQDY5bxOQckTjVxM+O/46W6F5I0A6MFAJyTh\n"
				     "V9xOFYlxZ0Qgp1VKjhjcysnVZnnSsd8OaiRfGu53NQBfSSUoSa0Hw/2L5/iufn5n\n"
				     "4F92WpQV7OgkBzswGV0V3M7dq60BYiLYKXVZN5HNQINXJsTnEr0ft03hh2XvJQW3\n"
				     "P8FqpkqBgQKBgQCRtzo54b3hVVC/CzcSxXex/YECLEfOkaR5BeMgzJOgKUAejwvS\n"
				     "y29PzynEaLUKSkVfw4sYSOCP7TsaYJXso1yDp1pfS2WoW64cyO5rGEXv2o1BJS9a\n"
				     "wp3W+M3RC1Vy/9aMTdU2P5GZ+nPcjJqU32Mrx7DHQXVY1CUPdfEkObDb6QKBgHwi\n"
				     "X7daJz6tdNoIzy7iSoMO3zRaAeA5hv4BTvDRmqvwsikOG95jnQ8gcItV7vsLGeIi\n"
				     "FVbpDvnit6fRMRbxs7nyDbZ4uPcFJktFOt190asKv4F/MfzBR2kvyqVLj+Ruygp1\n"
				     "D9hT2XpjJchHRAIL03nHaydcWpaX1cGfF492RMYBAoGAPBHM3GZbzdIdyfiE3gIu\n"
				     "zJ/jbbh0ZcDV8vA2m0Eqwx6EdbD+GHxXZnK9aM5p7EFOEHy4ZeVJ3LXIHhZgntrw\n"
				     "527U+rpaApGhtgx9zlwObx7S1b72r/yHQtBhixLv2c7Gblhn8SyG109Q8paPTWek\n"
				     "KBq1rHfgzAFAHhaNn7TcP4c=\n"
				     "-----END PRIVATE KEY-----\n";

static char *text(const char *s)
{
	return (char *)(uintptr_t)s;
}

const char *virtual_next_token_key(void)
{
	return next_token_key;
}

void virtual_pki(struct pki *out)
{
	memset(out, 0, sizeof(*out));
	out->server_ca.cert = text(server_ca);
	out->server.cert = text(server_cert);
	out->server.key = text(server_key);
	out->device_ca.cert = text(device_ca);
	out->fleet.cert = text(fleet_cert);
	out->fleet.key = text(fleet_key);
	out->token_key = text(token_key);
	out->token_public = text(token_public);
	memset(out->reset_key, 0x52, sizeof(out->reset_key));
	memset(out->store_key, 0x53, sizeof(out->store_key));
}
