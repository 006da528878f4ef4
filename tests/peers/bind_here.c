/* Makes a program that knows of no loopback addresses but 127.0.0.1 live on the one in BIND_HERE: sockets that it binds
   to any address, or connects unbound, are bound there. Preloaded (LD_PRELOAD) by tests only. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

typedef int (*call)(int, const struct sockaddr *, socklen_t);

static int here(struct sockaddr_in *address)
{
	const char *text = getenv("BIND_HERE");
	return text != NULL && inet_pton(AF_INET, text, &address->sin_addr) == 1;
}

int bind(int fd, const struct sockaddr *to, socklen_t size)
{
	call real = (call)dlsym(RTLD_NEXT, "bind");
	struct sockaddr_in at;

	if (to->sa_family != AF_INET || size < sizeof(at))
		return real(fd, to, size);
	at = *(const struct sockaddr_in *)to;
	if (at.sin_addr.s_addr != htonl(INADDR_ANY) || !here(&at))
		return real(fd, to, size);
	return real(fd, (struct sockaddr *)&at, sizeof(at));
}

int connect(int fd, const struct sockaddr *to, socklen_t size)
{
	struct sockaddr_in at = {.sin_family = AF_INET}, bound;
	socklen_t length = sizeof(bound);

	if (to->sa_family == AF_INET && getsockname(fd, (struct sockaddr *)&bound, &length) == 0 &&
	    bound.sin_addr.s_addr == htonl(INADDR_ANY) && here(&at))
		((call)dlsym(RTLD_NEXT, "bind"))(fd, (struct sockaddr *)&at, sizeof(at));
	return ((call)dlsym(RTLD_NEXT, "connect"))(fd, to, size);
}
