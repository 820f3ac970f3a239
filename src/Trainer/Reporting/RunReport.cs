using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Spectre.Console;

namespace ProxyTune.Trainer.Reporting;

/// <summary>A run's progress: a live bar on a terminal or a line every few seconds elsewhere, and every step in metrics.jsonl.</summary>
internal sealed class RunReport : IDisposable
{
    public const string MetricsFile = "metrics.jsonl";
    private static readonly TimeSpan LineInterval = TimeSpan.FromSeconds(10);

    private readonly string _title;
    private readonly long _first;
    private readonly long _steps;
    private readonly ProgressTask? _bar;
    private readonly StreamWriter _metrics;
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private double _smoothLoss = double.NaN;
    private double _rate;
    private TimeSpan _last;
    private TimeSpan _lastLine = -LineInterval;

    private RunReport(string title, string output, long first, long steps, ProgressTask? bar)
    {
        (_title, _first, _steps, _bar) = (title, first, steps, bar);
        _metrics = OpenMetrics(Path.Combine(output, MetricsFile), first);
    }

    /// <param name="first">Steps that were done before.</param>
    public static void Show(string title, string output, long first, long steps, Action<RunReport> run)
    {
        if (!AnsiConsole.Profile.Capabilities.Interactive || Console.IsOutputRedirected)
        {
            using var report = new RunReport(title, output, first, steps, null);
            run(report);
            return;
        }

        AnsiConsole.Progress().AutoClear(false).Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn()).Start(context =>
        {
            using var report = new RunReport(title, output, first, steps, context.AddTask(Markup.Escape(title), maxValue: steps));
            run(report);
        });
    }

    /// <param name="step">Steps done, this one included.</param>
    public void Step(long step, double loss, double learningRate, long tokens)
    {
        var now = _clock.Elapsed;
        var rate = tokens / Math.Max(1e-9, (now - _last).TotalSeconds);
        _last = now;
        _rate = _rate == 0 ? rate : 0.9 * _rate + 0.1 * rate;
        _smoothLoss = double.IsNaN(_smoothLoss) ? loss : 0.9 * _smoothLoss + 0.1 * loss;
        _metrics.WriteLine(JsonSerializer.Serialize(new
        {
            step,
            loss,
            lr = learningRate,
            tokens,
            tokens_per_second = Math.Round(rate, 1),
            seconds = Math.Round(now.TotalSeconds, 3),
        }));
        Show(step, now);
    }

    public void Dispose() => _metrics.Dispose();

    private void Show(long step, TimeSpan now)
    {
        var left = (now / Math.Max(1, step - _first) * (_steps - step)).ToString(@"h\:mm\:ss", CultureInfo.InvariantCulture);
        var text = string.Create(CultureInfo.InvariantCulture, $"{_title}  step {step}/{_steps}  loss {_smoothLoss:F4}  {_rate:F0} tokens/s  {left} left");
        if (_bar is not null)
        {
            _bar.Description = Markup.Escape(text);
            _bar.Value = step;
        }
        else if (now - _lastLine >= LineInterval || step == _steps)
        {
            Console.WriteLine(text);
            _lastLine = now;
        }
    }

    // Steps after the checkpoint are done again, so their lines go.
    private static StreamWriter OpenMetrics(string path, long first)
    {
        var kept = File.Exists(path) ? File.ReadLines(path).Take((int)first).ToArray() : [];
        File.WriteAllLines(path, kept);
        return new StreamWriter(path, append: true) { AutoFlush = true };
    }
}
