using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Spectre.Console;

namespace ProxyTune.Trainer.Reporting;

/// <summary>Shows a run's progress, with a bar on a terminal and a line every few seconds elsewhere. It writes every step to metrics.jsonl.</summary>
internal sealed class RunReport : IDisposable
{
    public const string MetricsFile = "metrics.jsonl";
    private static readonly TimeSpan LineInterval = TimeSpan.FromSeconds(10);

    private readonly string title;
    private readonly long first;
    private readonly long steps;
    private readonly ProgressTask? bar;
    private readonly StreamWriter metrics;
    private readonly Stopwatch clock = Stopwatch.StartNew();
    private double smoothLoss = double.NaN;
    private double rate;
    private TimeSpan last;
    private TimeSpan lastLine = -LineInterval;

    private RunReport(string title, string output, long first, long steps, ProgressTask? bar)
    {
        (this.title, this.first, this.steps, this.bar) = (title, first, steps, bar);
        metrics = OpenMetrics(Path.Combine(output, MetricsFile), first);
    }

    /// <param name="first">The number of steps that were finished before.</param>
    public static void Show(string title, string output, long first, long steps, Action<RunReport> run)
    {
        if (!AnsiConsole.Profile.Capabilities.Interactive || Console.IsOutputRedirected)
        {
            using RunReport report = new(title, output, first, steps, null);
            run(report);
            return;
        }

        AnsiConsole.Progress().AutoClear(false).Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn()).Start(context =>
        {
            using RunReport report = new(title, output, first, steps, context.AddTask(Markup.Escape(title), maxValue: steps));
            run(report);
        });
    }

    /// <param name="step">The number of finished steps, including this one.</param>
    public void Step(long step, double loss, double learningRate, long tokens)
    {
        TimeSpan now = clock.Elapsed;
        double rate = tokens / Math.Max(1e-9, (now - last).TotalSeconds);
        last = now;
        this.rate = this.rate == 0 ? rate : 0.9 * this.rate + 0.1 * rate;
        smoothLoss = double.IsNaN(smoothLoss) ? loss : 0.9 * smoothLoss + 0.1 * loss;
        metrics.WriteLine(JsonSerializer.Serialize(new
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

    public void Dispose() => metrics.Dispose();

    private void Show(long step, TimeSpan now)
    {
        string left = (now / Math.Max(1, step - first) * (steps - step)).ToString(@"h\:mm\:ss", CultureInfo.InvariantCulture);
        string text = string.Create(CultureInfo.InvariantCulture, $"{title}  step {step}/{steps}  loss {smoothLoss:F4}  {rate:F0} tokens/s  {left} left");
        if (bar is not null)
        {
            bar.Description = Markup.Escape(text);
            bar.Value = step;
        }
        else if (now - lastLine >= LineInterval || step == steps)
        {
            Console.WriteLine(text);
            lastLine = now;
        }
    }

    // The run repeats the steps after the checkpoint, so their lines are removed.
    private static StreamWriter OpenMetrics(string path, long first)
    {
        string[] kept = File.Exists(path) ? File.ReadLines(path).Take((int)first).ToArray() : [];
        File.WriteAllLines(path, kept);
        return new StreamWriter(path, append: true) { AutoFlush = true };
    }
}
