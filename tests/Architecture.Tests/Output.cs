namespace ProxyTune.Architecture.Tests;

/// <summary>Finds the build output of the projects.</summary>
internal static class Output
{
    /// <summary>The folder with a project's assembly, in the configuration of these tests.</summary>
    public static string Of(string project) =>
        AppContext.BaseDirectory.Replace("Architecture.Tests", project, StringComparison.Ordinal);
}
