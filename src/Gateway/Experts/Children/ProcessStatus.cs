using System.Globalization;

namespace ProxyTune.Gateway.Experts;

/// <summary>Reads a process's memory from /proc/PID/status (Linux).</summary>
internal static class ProcessStatus
{
    /// <param name="process">Id of the process, or <c>self</c>.</param>
    /// <param name="field">Name of the field, such as RssAnon.</param>
    /// <returns>Bytes; 0 if the field is missing.</returns>
    /// <exception cref="IOException">The process is gone.</exception>
    public static long Bytes(string process, string field)
    {
        string? line = OperatingSystem.IsLinux() ? File.ReadLines($"/proc/{process}/status").FirstOrDefault(line => line.StartsWith(field + ":", StringComparison.Ordinal)) : null;
        return line is null ? 0 : long.Parse(line.Split(':', ' ', '\t').First(part => part.Length > 0 && char.IsAsciiDigit(part[0])), CultureInfo.InvariantCulture) * 1024;
    }
}
