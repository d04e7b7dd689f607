//go:build unix

package servers

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
)

func TestMain(m *testing.M) {
	if scene := os.Getenv("TASHIKAME_SERVERS_TEST_SCENE"); scene != "" {
		play(scene)
	}
	os.Exit(Main(m))
}

// play is the process that dies: it starts servers, says so, and ends in the scene's way.
func play(scene string) {
	ctx := context.Background()
	my, err := StartMySQL(ctx)
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	url, err := sharedRedis(ctx)
	if err == nil {
		_, err = claimRedis(ctx, url)
	}
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	dog, _ := theWatchdog()
	fmt.Println("ready", dog.session, my.Database)
	if scene == "panic" {
		go func() { panic("the test panics") }()
	}
	time.Sleep(time.Minute)
	os.Exit(1)
}

// start plays a scene in a process of its own and returns when its servers are up.
func start(t *testing.T, scene string, env []string, command ...string) (cmd *exec.Cmd, session, database string) {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	command = append(command, exe)
	cmd = exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), append(env, "TASHIKAME_SERVERS_TEST_SCENE="+scene)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	words := strings.Fields(lines.Text())
	require.Equal(t, "ready", words[0], lines.Text())
	return cmd, words[1], words[2]
}

func containersOf(t *testing.T, session string) int {
	t.Helper()
	docker, err := testcontainers.NewDockerClientWithOpts(t.Context())
	require.NoError(t, err)
	defer docker.Close()
	list, err := docker.ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", labelSession+"="+session)})
	require.NoError(t, err)
	return len(list.Items)
}

func TestNothingIsLeftBehindWhateverEndsTheProcess(t *testing.T) {
	require.NoError(t, dockerAnswers(t.Context()))
	for scene, end := range map[string]func(p *os.Process) error{
		"SIGKILL": func(p *os.Process) error { return p.Kill() },
		"SIGINT":  func(p *os.Process) error { return p.Signal(os.Interrupt) },
		"SIGTERM": func(p *os.Process) error { return p.Signal(syscall.SIGTERM) },
		"panic":   func(*os.Process) error { return nil },
		// As a runner does whose time is up.
		"SIGKILL to the process group": func(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGKILL) },
	} {
		t.Run(scene, func(t *testing.T) {
			cmd, session, _ := start(t, scene, []string{mysqlDSNEnv + "=", redisURLEnv + "="})
			if scene != "panic" { // which may be over already
				require.Equal(t, 2, containersOf(t, session))
			}
			require.NoError(t, end(cmd.Process))
			require.Error(t, cmd.Wait())
			require.Eventually(t, func() bool { return containersOf(t, session) == 0 }, 30*time.Second, 100*time.Millisecond)
		})
	}
}

func TestAClusterIsOneContainerThatTheWatchdogKnows(t *testing.T) {
	require.NoError(t, dockerAnswers(t.Context()))
	dog, err := theWatchdog()
	require.NoError(t, err)
	before := containersOf(t, dog.session)
	c, err := StartRedisCluster(t.Context(), RedisKind{Flavour: "valkey", Version: "8.1"})
	require.NoError(t, err)
	require.Equal(t, before+1, containersOf(t, dog.session))
	require.NoError(t, c.KillNode(c.Addrs[0]))
	require.NoError(t, c.Close())
	require.Equal(t, before, containersOf(t, dog.session))
}

func TestServersByEnvironmentVariableAreLeftAsTheyWere(t *testing.T) {
	own := OwnMySQL(t)
	ownRedis := OwnRedis(t)
	env := []string{mysqlDSNEnv + "=" + own.DSN, redisURLEnv + "=" + ownRedis.URL}
	databases := func() (names []string) {
		rows, err := own.DB.Query("SELECT schema_name FROM information_schema.schemata ORDER BY 1")
		require.NoError(t, err)
		defer rows.Close()
		for rows.Next() {
			var name string
			require.NoError(t, rows.Scan(&name))
			names = append(names, name)
		}
		require.NoError(t, rows.Err())
		return names
	}
	before := databases()
	cmd, session, database := start(t, "SIGKILL", env)
	require.Zero(t, containersOf(t, session), "no container is started where servers are given")
	require.Contains(t, databases(), database)
	claimed, err := ownRedis.Client.Get(t.Context(), claimPrefix+"1").Result()
	require.NoError(t, err)
	require.Equal(t, session, claimed)
	db1 := redis.NewClient(&redis.Options{Addr: ownRedis.Addr, DB: 1})
	defer db1.Close()
	require.NoError(t, db1.Set(t.Context(), "left by a test", 1, 0).Err())

	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.Eventually(t, func() bool {
		info, err := ownRedis.Client.InfoMap(t.Context(), "keyspace").Result()
		return err == nil && len(info["Keyspace"]) == 0 && len(databases()) == len(before)
	}, 30*time.Second, 100*time.Millisecond)
	require.Equal(t, before, databases())
}

func TestARedisThatHoldsKeysIsRefusedAndKeepsThem(t *testing.T) {
	own := OwnRedis(t)
	require.NoError(t, own.Client.Set(t.Context(), "precious", 1, 0).Err())
	_, err := claimRedis(t.Context(), own.URL)
	require.ErrorContains(t, err, "holds keys that are not ours (db0: keys=1")
	db3 := redis.NewClient(&redis.Options{Addr: own.Addr, DB: 3})
	defer db3.Close()
	require.NoError(t, db3.Set(t.Context(), "precious", 1, 0).Err())
	require.NoError(t, own.Client.Del(t.Context(), "precious").Err())
	_, err = claimRedis(t.Context(), own.URL)
	require.ErrorContains(t, err, "db3: keys=1")
	require.Equal(t, int64(1), db3.Exists(t.Context(), "precious").Val())
}

func TestServersThatDoNotAnswerAreNamedWithoutTheirPasswords(t *testing.T) {
	ports, err := freePorts(1)
	require.NoError(t, err)
	port := ports[0]
	t.Setenv(mysqlDSNEnv, "root:s3cret@tcp(127.0.0.1:"+port+")/")
	_, _, err = mysqlServer.bringUp(t.Context())
	require.ErrorContains(t, err, port)
	require.NotContains(t, err.Error(), "s3cret")
	_, err = claimRedis(t.Context(), "redis://:s3cret@127.0.0.1:"+port)
	require.ErrorContains(t, err, "127.0.0.1:"+port)
	require.NotContains(t, err.Error(), "s3cret")
}
