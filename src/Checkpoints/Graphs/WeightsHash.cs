using System.Security.Cryptography;

namespace ProxyTune.Checkpoints.Graphs;

/// <summary>Computes the SHA-256 over a graph and its weight files, in lower-case hex.</summary>
internal static class WeightsHash
{
    public static string Of(string folder, string graph, GraphContents contents)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[1 << 20];
        foreach (string file in contents.WeightFiles.Keys.Prepend(graph).Distinct())
        {
            using FileStream stream = File.OpenRead(Path.Combine(folder, file));
            for (int read; (read = stream.Read(buffer)) > 0;)
            {
                hash.AppendData(buffer, 0, read);
            }
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
