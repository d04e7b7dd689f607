package metrics_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/consistency/metrics"
)

// The metrics of all checks are there before their first run, as unknown.
func ExampleCollector() {
	check := consistency.CheckFunc{
		Meta: consistency.Meta{Name: "orders-without-payment", Owner: "payments"},
		Func: func(context.Context) (consistency.Findings, error) { return consistency.Findings{Examined: 10}, nil },
	}
	collector := &metrics.Collector{Checks: []consistency.Check{check}}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector)
	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	defer server.Close()

	show := func() {
		response, err := http.Get(server.URL)
		if err != nil {
			panic(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			panic(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "consistency_check_outcome") || strings.HasPrefix(line, "consistency_check_violations{") {
				fmt.Print(line)
			}
		}
	}
	show()

	// A Runner calls this for each of its checks.
	collector.CheckStarted(check.Meta, time.Now())
	collector.CheckFinished(
		consistency.Event{Result: consistency.Result{Check: check.Meta, Outcome: consistency.Inconsistent, Total: 3}},
		consistency.State{Check: check.Name, Outcome: consistency.Inconsistent, Total: 3, LastRun: time.Now()},
	)
	show()
	// Output:
	// consistency_check_outcome{check="orders-without-payment",outcome="consistent",owner="payments",severity="normal"} 0
	// consistency_check_outcome{check="orders-without-payment",outcome="inconsistent",owner="payments",severity="normal"} 0
	// consistency_check_outcome{check="orders-without-payment",outcome="unknown",owner="payments",severity="normal"} 1
	// consistency_check_violations{check="orders-without-payment",owner="payments",severity="normal"} NaN
	// consistency_check_outcome{check="orders-without-payment",outcome="consistent",owner="payments",severity="normal"} 0
	// consistency_check_outcome{check="orders-without-payment",outcome="inconsistent",owner="payments",severity="normal"} 1
	// consistency_check_outcome{check="orders-without-payment",outcome="unknown",owner="payments",severity="normal"} 0
	// consistency_check_violations{check="orders-without-payment",owner="payments",severity="normal"} 3
}
