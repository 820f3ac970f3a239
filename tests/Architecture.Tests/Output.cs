namespace ProxyTune.Architecture.Tests;

/// <summary>Where the projects are built.</summary>
internal static class Output
{
    /// <summary>The folder of a project's assembly, in the configuration of these tests.</summary>
    public static string Of(string project) =>
        AppContext.BaseDirectory.Replace("Architecture.Tests", project, StringComparison.Ordinal);
}
