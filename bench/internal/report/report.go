package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/stilelock/stile/bench/internal/measure"
)

// Better says which values of a metric are the better ones.
type Better int

const (
	// Neither: the metric explains, and nobody is compared by it.
	Neither Better = iota
	// Lower values are better.
	Lower
	// Higher values are better.
	Higher
)

// A Metric is one figure of an item.
type Metric struct {
	Name   string `json:"name"`
	Unit   string `json:"unit,omitempty"`
	Better Better `json:"-"`
}

// Values are the figures of one run, by the names of their metrics.
type Values map[string]float64

// A Row is what one case of an item gave in all rounds.
type Row struct {
	Library string                    `json:"library"`
	Variant string                    `json:"variant,omitempty"`
	Rounds  []Values                  `json:"rounds"`
	Failed  []string                  `json:"failed,omitempty"` // rounds without figures, and why
	Spread  map[string]measure.Spread `json:"spread"`
}

// An Item is one kind of work, and what each library made of it.
type Item struct {
	Name    string   `json:"name"`
	About   string   `json:"about"`
	Metrics []Metric `json:"metrics"` // the first is the one that libraries are compared by
	Rows    []*Row   `json:"rows"`
	Ratios  []Ratio  `json:"ratios,omitempty"`
}

// A Ratio is one library's median by that of the best of the others.
type Ratio struct {
	Metric string  `json:"metric"`
	Rival  string  `json:"rival"`
	Ratio  float64 `json:"ratio"`
}

// A Report is the whole run.
type Report struct {
	Started time.Time `json:"started"`
	Server  string    `json:"server"`
	Machine string    `json:"machine"`
	Notes   []string  `json:"notes"`
	Items   []*Item   `json:"items"`
}

// Add adds a round.
func (r *Row) Add(v Values) { r.Rounds = append(r.Rounds, v) }

// Title is the library with its variant.
func (r *Row) Title() string {
	if r.Variant == "" {
		return r.Library
	}
	return r.Library + " (" + r.Variant + ")"
}

// Finish computes the spreads, and the ratios of library against the others.
func (i *Item) Finish(library string) {
	for _, row := range i.Rows {
		row.Spread = make(map[string]measure.Spread)
		for _, m := range i.Metrics {
			var values []float64
			for _, round := range row.Rounds {
				values = append(values, round[m.Name])
			}
			row.Spread[m.Name] = measure.SpreadOf(values)
		}
	}
	i.Ratios = nil
	for _, m := range i.Metrics {
		ours, theirs := i.best(m, true, library), i.best(m, false, library)
		if ours == nil || theirs == nil {
			continue
		}
		i.Ratios = append(i.Ratios, Ratio{
			Metric: m.Name, Rival: theirs.Title(),
			Ratio: measure.PerUnit(ours.Spread[m.Name].Median, theirs.Spread[m.Name].Median),
		})
	}
}

// best returns the row with the best median, of the library's or of all others'.
func (i *Item) best(m Metric, ours bool, library string) *Row {
	if m.Better == Neither {
		return nil
	}
	var best *Row
	for _, row := range i.Rows {
		if (row.Library == library) != ours || len(row.Rounds) == 0 {
			continue
		}
		if best == nil || (row.Spread[m.Name].Median < best.Spread[m.Name].Median) == (m.Better == Lower) {
			best = row
		}
	}
	return best
}

// WriteJSON writes everything.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(r); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// Write writes an item as a table, a column for each library: median, and in
// brackets the least and the greatest of the rounds if they differ.
func (i *Item) Write(w io.Writer, library string) error {
	fmt.Fprintf(w, "\n## %s\n%s\n\n", i.Name, i.About)
	table := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprint(table, "|\t")
	for _, row := range i.Rows {
		fmt.Fprintf(table, "| %s\t", row.Title())
	}
	fmt.Fprintln(table, "|")
	fmt.Fprintln(table, strings.Repeat("|---\t", len(i.Rows)+1)+"|")
	for _, m := range i.Metrics {
		fmt.Fprintf(table, "| %s\t", strings.TrimSuffix(m.Name+", "+m.Unit, ", "))
		for _, row := range i.Rows {
			fmt.Fprintf(table, "| %s\t", cell(row.Spread[m.Name], len(row.Rounds)))
		}
		fmt.Fprintln(table, "|")
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	for _, row := range i.Rows {
		for _, why := range row.Failed {
			fmt.Fprintf(w, "%s failed in %s\n", row.Title(), why)
		}
	}
	if len(i.Ratios) > 0 {
		fmt.Fprintln(w)
	}
	for _, ratio := range i.Ratios {
		fmt.Fprintf(w, "%s, %s: %s × the best rival, %s\n", library, ratio.Metric, Number(ratio.Ratio), ratio.Rival)
	}
	return nil
}

func cell(s measure.Spread, rounds int) string {
	if rounds < 2 || s.Min == s.Max {
		return Number(s.Median)
	}
	return fmt.Sprintf("%s (%s..%s)", Number(s.Median), Number(s.Min), Number(s.Max))
}

// Number writes a figure with three digits that count, or all before the point.
func Number(x float64) string {
	switch {
	case x == float64(int64(x)) || x >= 100 || x <= -100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10 || x <= -10:
		return fmt.Sprintf("%.1f", x)
	case x >= 1 || x <= -1:
		return fmt.Sprintf("%.2f", x)
	default:
		return fmt.Sprintf("%.3f", x)
	}
}
