Console.Error.WriteLine("usage: trainer <recipe>");
return 2;
