package report_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stilelock/stile/bench/internal/report"
)

func example() *report.Item {
	rate := func(values ...float64) (rounds []report.Values) {
		for _, v := range values {
			rounds = append(rounds, report.Values{"rate": v, "p50": 1000 / v, "count": v})
		}
		return rounds
	}
	item := &report.Item{
		Name: "work", About: "What it is.",
		Metrics: []report.Metric{
			{Name: "rate", Unit: "1/s", Better: report.Higher},
			{Name: "p50", Unit: "ms", Better: report.Lower},
			{Name: "count"},
		},
		Rows: []*report.Row{
			{Library: "stile", Rounds: rate(30, 10, 20)},
			{Library: "slow", Rounds: rate(5, 5, 5)},
			{Library: "rival", Variant: "tuned", Rounds: rate(40, 1, 40)},
			{Library: "rival", Rounds: rate(50, 25, 2)},
		},
	}
	item.Finish("stile")
	return item
}

func TestRatioIsAgainstTheBestRivalsMedian(t *testing.T) {
	t.Parallel()
	want := []report.Ratio{
		{Metric: "rate", Rival: "rival (tuned)", Ratio: 0.5},
		{Metric: "p50", Rival: "rival (tuned)", Ratio: 2},
	}
	got := example().Ratios
	if len(got) != len(want) {
		t.Fatalf("%d ratios, want %d: %v", len(got), len(want), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("ratio %d = %v, want %v", i, got[i], want[i])
		}
	}
}

func TestNoRatioWithoutRivals(t *testing.T) {
	t.Parallel()
	item := example()
	item.Rows = item.Rows[:1]
	item.Finish("stile")
	if len(item.Ratios) != 0 {
		t.Errorf("ratios without a rival: %v", item.Ratios)
	}
}

func TestTableHasMedianAndSpread(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	if err := example().Write(&text, "stile"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"## work\n", "| rate, 1/s | 20 (10..30)", "| 50 (33.3..100) | 200 ", "| stile ", "| rival (tuned) ", "| 40 (1..40) ", "| 25 (25..1000) ",
		"stile, rate: 0.500 × the best rival, rival (tuned)\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, text.String())
		}
	}
}

func TestJSONKeepsEveryRound(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	if err := (&report.Report{Server: "s", Items: []*report.Item{example()}}).WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	var back report.Report
	if err := json.Unmarshal([]byte(text.String()), &back); err != nil {
		t.Fatal(err)
	}
	row := back.Items[0].Rows[0]
	if len(row.Rounds) != 3 || row.Rounds[1]["rate"] != 10 || row.Spread["rate"].Median != 20 {
		t.Errorf("read back: %+v", row)
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for x, want := range map[float64]string{0: "0", 7: "7", 0.12345: "0.123", 1.2345: "1.23", 12.345: "12.3", 123.45: "123", 12345.6: "12346", -2.5: "-2.50"} {
		if got := report.Number(x); got != want {
			t.Errorf("Number(%v) = %q, want %q", x, got, want)
		}
	}
}
