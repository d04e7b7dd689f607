// Package servers gives tests, benchmarks and the demo real MySQL and Redis servers.
//
//	func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }
//
//	func TestSomething(t *testing.T) {
//		my := servers.MySQL(t)   // an own, empty database on a shared server
//		rd := servers.Redis(t)   // an own, empty db number on a shared server
//		own := servers.OwnRedis(t, "--maxmemory", "10mb") // a server that the test may kill, restart, configure
//		…
//	}
//
// A server comes from the first of these that there is:
//
//  1. TASHIKAME_MYSQL_DSN (databases of our own are created there and dropped again) and TASHIKAME_REDIS_URL
//     (refused if any of its dbs holds keys that are not ours). OwnMySQL and OwnRedis never use them.
//  2. Docker, through testcontainers-go. One container serves all tests of a process.
//
// Without either, the test fails and says what to do. It is never skipped: a test that did not run proves nothing.
//
// Images: TASHIKAME_MYSQL_IMAGE and TASHIKAME_REDIS_IMAGE, or else the official mysql:9.7 and redis:8.0, or, where
// these cannot be pulled, equivalents of our own name that images/build.sh makes of Debian packages, once.
//
// Nothing is left behind: a watchdog process, tied to this one by a pipe, removes containers, databases and keys when
// this process ends, whatever way it ends.
package servers
