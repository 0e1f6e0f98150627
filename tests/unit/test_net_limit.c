#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>

#include "net/limit.h"
#include "tests/lib/test.h"

static struct net_limit_key
key_of(const char *text)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return net_limit_key((struct sockaddr *)&v4);
	CHECK_INT(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
	return net_limit_key((struct sockaddr *)&v6);
}

TEST(one_address_gets_no_more_than_its_share)
{
	struct net_limit_key a = key_of("192.0.2.1");
	struct net_limit_key b = key_of("192.0.2.2");
	AUTO_STRUCT(net_limit) limit = NULL;

	CHECK_INT(net_limit_new(100, 2, &limit), 0);
	CHECK_INT(net_limit_enter(limit, &a), 0);
	CHECK_INT(net_limit_enter(limit, &a), 0);
	CHECK_INT(net_limit_enter(limit, &a), ERR_LIMIT);
	CHECK_INT(net_limit_enter(limit, &b), 0);
	CHECK_INT(net_limit_total(limit), 3);
	net_limit_leave(limit, &a);
	CHECK_INT(net_limit_count(limit, &a), 1);
	CHECK_INT(net_limit_enter(limit, &a), 0);
}

TEST(all_together_get_no_more_than_the_total)
{
	struct net_limit_key a = key_of("192.0.2.1");
	struct net_limit_key b = key_of("2001:db8::1");
	AUTO_STRUCT(net_limit) limit = NULL;

	CHECK_INT(net_limit_new(2, 2, &limit), 0);
	CHECK_INT(net_limit_enter(limit, &a), 0);
	CHECK_INT(net_limit_enter(limit, &b), 0);
	CHECK_INT(net_limit_enter(limit, &a), ERR_BUSY);
	net_limit_leave(limit, &b);
	CHECK_INT(net_limit_count(limit, &b), 0);
	CHECK_INT(net_limit_enter(limit, &a), 0);
}

TEST(a_lower_limit_keeps_what_is_open)
{
	struct net_limit_key a = key_of("192.0.2.1");
	AUTO_STRUCT(net_limit) limit = NULL;

	CHECK_INT(net_limit_new(10, 10, &limit), 0);
	for (int i = 0; i < 5; i++)
		CHECK_INT(net_limit_enter(limit, &a), 0);
	net_limit_set(limit, 3, 3);
	CHECK_INT(net_limit_enter(limit, &a), ERR_BUSY);
	for (int i = 0; i < 3; i++)
		net_limit_leave(limit, &a);
	CHECK_INT(net_limit_enter(limit, &a), 0);
	CHECK_INT(net_limit_enter(limit, &a), ERR_BUSY);
}

TEST(ipv6_counts_by_64_and_mapped_ipv4_as_ipv4)
{
	struct net_limit_key one = key_of("2001:db8:1:2::1");
	struct net_limit_key same = key_of("2001:db8:1:2:ffff:ffff:ffff:ffff");
	struct net_limit_key other = key_of("2001:db8:1:3::1");
	struct net_limit_key mapped = key_of("::ffff:192.0.2.1");
	struct net_limit_key plain = key_of("192.0.2.1");
	struct net_limit_key neighbour = key_of("::ffff:192.0.2.2");

	CHECK(memcmp(&one, &same, sizeof(one)) == 0);
	CHECK(memcmp(&one, &other, sizeof(one)) != 0);
	CHECK(memcmp(&mapped, &plain, sizeof(plain)) == 0);
	CHECK(memcmp(&mapped, &neighbour, sizeof(plain)) != 0);
}

TEST(addresses_are_written_without_port)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
	struct sockaddr unix_address = {.sa_family = AF_UNIX};
	char text[64];

	CHECK_INT(inet_pton(AF_INET6, "::ffff:192.0.2.1", &v6.sin6_addr), 1);
	CHECK_TEXT(net_limit_text((struct sockaddr *)&v6, text, sizeof(text)), "192.0.2.1");
	CHECK_INT(inet_pton(AF_INET6, "2001:db8::1", &v6.sin6_addr), 1);
	CHECK_TEXT(net_limit_text((struct sockaddr *)&v6, text, sizeof(text)), "2001:db8::1");
	CHECK_TEXT(net_limit_text(&unix_address, text, sizeof(text)), "local");
}

TEST(many_addresses_are_told_apart)
{
	enum { MANY = 50000 };
	AUTO_STRUCT(net_limit) limit = NULL;
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct net_limit_key key;

	CHECK_INT(net_limit_new(MANY, 1, &limit), 0);
	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < MANY; i++) {
			memcpy(&v6.sin6_addr, &i, sizeof(i));
			key = net_limit_key((struct sockaddr *)&v6);
			if (round == 0)
				CHECK_INT(net_limit_enter(limit, &key), 0);
			else
				net_limit_leave(limit, &key);
		}
	}
	CHECK_INT(net_limit_total(limit), 0);
}

static void *
come_and_go(void *arg)
{
	struct net_limit_key key = key_of("192.0.2.1");

	for (int i = 0; i < 20000; i++) {
		if (net_limit_enter(arg, &key) == 0)
			net_limit_leave(arg, &key);
	}
	return NULL;
}

TEST(loops_may_count_at_the_same_time)
{
	AUTO_STRUCT(net_limit) limit = NULL;
	pthread_t threads[4];

	CHECK_INT(net_limit_new(3, 2, &limit), 0);
	for (int i = 0; i < 4; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, come_and_go, limit), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CHECK_INT(net_limit_total(limit), 0);
}

TEST_MAIN(RUN(one_address_gets_no_more_than_its_share), RUN(all_together_get_no_more_than_the_total),
	  RUN(a_lower_limit_keeps_what_is_open), RUN(ipv6_counts_by_64_and_mapped_ipv4_as_ipv4),
	  RUN(addresses_are_written_without_port), RUN(many_addresses_are_told_apart),
	  RUN(loops_may_count_at_the_same_time))
