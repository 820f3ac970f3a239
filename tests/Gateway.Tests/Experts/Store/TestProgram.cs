using ProxyTune.Gateway.Experts;

namespace ProxyTune.Gateway.Tests.Experts;

/// <summary>The tests as a program, for tests that kill a process.</summary>
internal static class TestProgram
{
    public static ChildProgram Child { get; } = ChildProgram.Of(typeof(TestProgram).Assembly);

    public static async Task<int> Main(string[] arguments)
    {
        if (arguments is [StoreWriter.Command, var folder, var weights, var seed])
        {
            await StoreWriter.RunAsync(folder, weights, int.Parse(seed, System.Globalization.CultureInfo.InvariantCulture));
            return 0;
        }

        return ChildCommand.TryRun(arguments) ?? 1;
    }
}
