package consistencytest

import (
	"os"
	"testing"

	"github.com/tashikame-go/tashikame/internal/servers"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }
