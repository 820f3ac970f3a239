using System.Globalization;

namespace ProxyTune.Gateway.CommandLine;

/// <summary>Prints how far an import is: a bar on a terminal, else a line for each tenth.</summary>
internal sealed class ImportProgress(string name, TextWriter output) : IProgress<double>, IDisposable
{
    private const int Width = 40;

    private readonly bool isTerminal = output == Console.Error && !Console.IsErrorRedirected;
    private int printed = -1;

    /// <param name="value">The share that is done, 0 to 1.</param>
    public void Report(double value)
    {
        int step = (int)(value * (isTerminal ? 100 : 10));
        if (step == printed)
        {
            return;
        }

        printed = step;
        int done = (int)(value * Width);
        output.Write(isTerminal
            ? string.Create(CultureInfo.InvariantCulture, $"\rImporting {name} [{new string('#', done)}{new string('.', Width - done)}] {value:P0} ")
            : string.Create(CultureInfo.InvariantCulture, $"Importing {name}: {value:P0}{Environment.NewLine}"));
        output.Flush();
    }

    public void Dispose()
    {
        if (isTerminal && printed >= 0)
        {
            output.WriteLine();
        }
    }
}
